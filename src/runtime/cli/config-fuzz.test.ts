import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GantryError } from '#errors/index.ts';
import { exactJson } from '#oci/index.ts';
import { parseConfig, parseProcess, parseResources } from './config.ts';
import { exampleSpec, rootlessSpec } from './spec.ts';

/** Numbers from a seed (mulberry32), so that a failure can be had again. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

type Random = ReturnType<typeof randomFrom>;

const leaves: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1, 4096, 1.5, 2n ** 63n, 2n ** 64n, -(2n ** 70n)],
  ...['', '/', '..', '/../../etc', 'a\0b', '__proto__', 'rro', 'SCMP_ACT_ALLOW', '\ud800', 'x'.repeat(5000)],
];

function anything(random: Random, depth = 0): unknown {
  const kind = random(depth > 4 ? 1 : 4);
  if (kind < 2) return leaves[random(leaves.length)];
  const count = random(4);
  const entries = Array.from({ length: count }, () => anything(random, depth + 1));
  if (kind === 2) return entries;
  const names = ['type', 'path', 'limit', 'linux', 'args', '__proto__', 'constructor', 'options', 'a/b~c'];
  return Object.fromEntries(entries.map((entry) => [names[random(names.length)], entry]));
}

/** A copy with something else at some places. */
function mutated(value: unknown, random: Random): unknown {
  if (random(80) === 0) return anything(random);
  if (Array.isArray(value)) return value.map((entry) => mutated(entry, random));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, mutated(entry, random)]));
}

/** Whether it was taken. Refusing is an answer; any other error is a fault of ours. */
function takes(parse: () => unknown, input: string): boolean {
  try {
    parse();
    return true;
  } catch (error) {
    const isRefusal = error instanceof GantryError && (error.kind === 'invalid' || error.kind === 'unsupported');
    assert.ok(isRefusal, `${error instanceof Error ? error.stack : error}\nfor ${input.slice(0, 500)}`);
    return false;
  }
}

test('parseConfig takes or refuses every configuration, and what it takes has the shape that it promises', () => {
  const random = randomFrom(0x0c1);
  const seeds = [exampleSpec, rootlessSpec(1000, 1000)];
  let taken = 0;
  for (let round = 0; round < 3000; round++) {
    const json = exactJson(mutated(seeds[round % seeds.length], random));
    if (!takes(() => parseConfig(json, '/bundle'), json)) continue;
    taken++;
    const { process, root, linux } = parseConfig(json, '/bundle');
    assert.ok(root.path.startsWith('/') && process.cwd.startsWith('/') && process.args.length > 0, json);
    assert.ok(Number.isInteger(process.user.uid) && process.user.uid >= 0, json);
    for (const { type } of linux?.namespaces ?? []) assert.equal(typeof type, 'string', json);
  }
  assert.ok(taken > 20, `only ${taken} were taken: the mutations are too wild to say anything`);
});

test('parseConfig, parseProcess and parseResources take or refuse any text', () => {
  const random = randomFrom(0x0c2);
  const text = JSON.stringify(exampleSpec);
  for (let round = 0; round < 2000; round++) {
    const bytes = Buffer.from(text);
    for (let flips = 1 + random(3); flips > 0; flips--) bytes[random(bytes.length)] = random(256);
    const json = bytes.subarray(0, random(3) === 0 ? random(bytes.length) : bytes.length).toString('utf8');
    takes(() => parseConfig(json, '/bundle'), json);
    const other = exactJson(anything(random));
    takes(() => parseProcess(other, 'process.json'), other);
    takes(() => parseResources(other, 'resources.json'), other);
  }
});

test('parseConfig refuses what is nested too deep to walk', () => {
  for (const depth of [70, 5000, 200_000]) {
    const nested = `${'['.repeat(depth)}${']'.repeat(depth)}`;
    takes(() => parseConfig(nested, '/bundle'), nested);
    const inside = `{"ociVersion":"1.3.0","annotations":{"a":${nested}}}`;
    assert.equal(
      takes(() => parseConfig(inside, '/bundle'), inside),
      false,
    );
  }
});
