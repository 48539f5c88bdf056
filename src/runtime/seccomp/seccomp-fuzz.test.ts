import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Seccomp, SeccompArg, SeccompRule } from '#oci/index.ts';
import { auditArch, compileSeccomp, interpretBpf } from './index.ts';
import { syscallTables } from './syscall-tables.ts';

const seeds = [1, 2, 3, 5, 8, 13, 21, 34];
const profilesPerSeed = 20;
const callsPerProfile = 200;

/** Numbers below a bound, the same from the same seed (mulberry32). */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const operators = [
  'SCMP_CMP_EQ',
  'SCMP_CMP_NE',
  'SCMP_CMP_LT',
  'SCMP_CMP_LE',
  'SCMP_CMP_GT',
  'SCMP_CMP_GE',
  'SCMP_CMP_MASKED_EQ',
] as const;

/** Values around the places where 64 bits are cut in two. */
const edges = [0, 1, 2, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x100000000, 0x100000001, 0x1ffffffff];

function randomProfile(random: (below: number) => number, names: readonly string[]): Seccomp {
  const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T;
  const argument = (): SeccompArg => ({
    index: random(6),
    value: pick(edges),
    valueTwo: pick(edges),
    op: pick(operators),
  });
  const rule = (): SeccompRule => ({
    names: Array.from({ length: 1 + random(6) }, () => pick(names)),
    action: 'SCMP_ACT_ERRNO',
    errnoRet: 1 + random(100),
    ...(random(3) === 0 ? {} : { args: Array.from({ length: 1 + random(3) }, argument) }),
  });
  return {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: Array.from({ length: 1 + random(60) }, rule),
  };
}

/** What a profile says of one call, read off the rules without any compilation. */
function verdict(profile: Seccomp, name: string, args: readonly bigint[]): number {
  const holds = ({ index, value, valueTwo = 0, op }: SeccompArg): boolean => {
    const [actual, wanted] = [args[index] ?? 0n, BigInt(value)];
    switch (op) {
      case 'SCMP_CMP_EQ':
        return actual === wanted;
      case 'SCMP_CMP_NE':
        return actual !== wanted;
      case 'SCMP_CMP_LT':
        return actual < wanted;
      case 'SCMP_CMP_LE':
        return actual <= wanted;
      case 'SCMP_CMP_GT':
        return actual > wanted;
      case 'SCMP_CMP_GE':
        return actual >= wanted;
      case 'SCMP_CMP_MASKED_EQ':
        return (actual & wanted) === BigInt(valueTwo);
    }
  };
  const rules = (profile.syscalls ?? []).filter((rule) => rule.names.includes(name));
  const matches = ({ args: conditions = [] }: SeccompRule): boolean => {
    const alternatives = new Set(conditions.map(({ index }) => index)).size < conditions.length;
    return alternatives ? conditions.some(holds) : conditions.every(holds);
  };
  const conditional = rules.find((rule) => (rule.args?.length ?? 0) > 0 && matches(rule));
  const found = conditional ?? rules.find((rule) => (rule.args?.length ?? 0) === 0);
  return found === undefined ? 0x7fff0000 : 0x00050000 | (found.errnoRet ?? 1);
}

for (const arch of ['x64', 'arm64'] as const)
  test(`compileSeccomp on ${arch}: random profiles mean what their rules say, for random calls`, () => {
    const table = Object.entries(syscallTables[arch]);
    const names = table.map(([name]) => name);
    for (const seed of seeds) {
      const random = randomNumbers(seed);
      for (let at = 0; at < profilesPerSeed; at++) {
        const profile = randomProfile(random, names.slice(0, 5 + random(names.length)));
        const filter = compileSeccomp(profile, arch);
        const ruled = (profile.syscalls ?? []).flatMap((rule) => rule.names);
        for (let call = 0; call < callsPerProfile; call++) {
          const name = (random(2) === 0 ? ruled[random(ruled.length)] : names[random(names.length)]) ?? 'read';
          const args = Array.from({ length: 6 }, () => BigInt(edges[random(edges.length)] ?? 0) + BigInt(random(3)));
          const nr = syscallTables[arch][name] ?? -1;
          assert.equal(
            interpretBpf(filter, { nr, arch: auditArch[arch], args }),
            verdict(profile, name, args),
            `seed ${seed}, profile ${at}: ${name}(${args.join(', ')}) with ${JSON.stringify(profile)}`,
          );
        }
      }
    }
  });

/** What the kernel checks before it takes a filter (linux: kernel/seccomp.c, net/core/filter.c). */
test('compileSeccomp: every jump of a random program lands inside, forward, and every path returns', () => {
  const names = Object.keys(syscallTables.x64);
  for (const seed of seeds) {
    const random = randomNumbers(seed * 1009);
    const filter = compileSeccomp(randomProfile(random, names), 'x64');
    const count = filter.length / 8;
    for (let pc = 0; pc < count; pc++) {
      const code = filter.readUInt16LE(pc * 8);
      const conditional = (code & 0x07) === 0x05 && code !== 0x05;
      const reach = code === 0x05 ? filter.readUInt32LE(pc * 8 + 4) : 0;
      const farthest = conditional ? Math.max(filter.readUInt8(pc * 8 + 2), filter.readUInt8(pc * 8 + 3)) : reach;
      assert.ok(pc + 1 + farthest < count || code === 0x06, `seed ${seed}: instruction ${pc} jumps out`);
      if (code === 0x20) assert.ok(filter.readUInt32LE(pc * 8 + 4) % 4 === 0 && filter.readUInt32LE(pc * 8 + 4) < 64);
    }
    assert.equal(filter.readUInt16LE((count - 1) * 8), 0x06);
  }
});
