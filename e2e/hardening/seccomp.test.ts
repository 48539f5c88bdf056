import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Seccomp, SeccompArg } from '#oci/index.ts';
import { auditArch, compileSeccomp, interpretBpf } from '../../src/runtime/seccomp/index.ts';
import { type Engine, startEngine } from '../harness/engine.ts';
import { callNumber, compileProbe, probeMount } from './hostile.ts';

const [EPERM, ENOSYS] = [1, 38];
const arch = process.arch === 'arm64' ? 'arm64' : 'x64';

describe('the default seccomp profile, asked by a program in a container', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());

  /** The errno of each call, in one container. */
  const errnos = async (options: string[], calls: readonly (readonly string[])[]) => {
    const script = calls.map(([name = '', ...args]) => `/probe call ${callNumber(name)} ${args.join(' ')}`).join('\n');
    const { code, stdout, stderr } = await engine.gantry([
      ...['run', '--rm', ...probeMount(), ...options, 'busybox', 'sh', '-c', script],
    ]);
    assert.equal(code, 0, stderr);
    return stdout.trim().split('\n').map(Number);
  };
  const refused: readonly (readonly string[])[] = [
    ['io_uring_setup', '8', 'b:120'],
    ['keyctl', '0', '0'],
    ['add_key', 's:user', 's:x', 's:y', '1', '-3'],
    ['userfaultfd', '1'],
    ['bpf', '0', 'b:120', '120'],
    ['perf_event_open', 'b:136', '0', '-1', '-1', '0'],
    ['unshare', '0x10000000'],
    ['setns', '0', '0'],
    ['mount', 's:none', 's:/tmp', 's:tmpfs', '0', '0'],
    ['kexec_load', '0', '0', '0', '0'],
    ['open_by_handle_at', '-1', 'b:16', '0'],
    ['socket', '38', '5', '0'],
    ['socket', '40', '1', '0'],
    ['socket', '0x100000026', '5', '0'],
  ];

  test('CVE-2022-0185, CVE-2026-31431: user namespaces, AF_ALG and all else that has opened kernels before is refused', async () => {
    assert.deepEqual(
      await errnos([], refused),
      refused.map(() => EPERM),
    );
    const unconfined = await errnos(['--security-opt', 'seccomp=unconfined'], refused);
    assert.ok(
      unconfined.filter((errno) => errno !== EPERM).length >= 5,
      `without the profile the kernel itself answers: ${unconfined}`,
    );
  });

  test('clone3 does not exist for a container, and clone makes no namespace', async () => {
    assert.deepEqual(
      await errnos(
        [],
        [
          ['clone3', 'b:88', '88'],
          ['clone', '0x10000011', '0', '0', '0', '0'],
          ['clone', '0x20011', '0', '0', '0', '0'],
        ],
      ),
      [ENOSYS, EPERM, EPERM],
    );
  });
});

test('filters that are compiled from random profiles mean to the kernel what they mean to the interpreter', () => {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-seccomp-'));
  try {
    // Calls whose arguments the kernel ignores, so that any may be tried.
    const names = ['getpid', 'getppid', 'getuid', 'geteuid', 'getgid', 'getegid', 'gettid', 'sched_yield'];
    const operators = ['EQ', 'NE', 'LT', 'LE', 'GT', 'GE', 'MASKED_EQ'] as const;
    const edges = [0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x100000001];
    let state = 20_260_601;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
      return (state >>> 8) % below;
    };
    const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T;
    for (let round = 0; round < 20; round++) {
      const argument = (): SeccompArg => ({
        index: random(6),
        value: pick(edges),
        valueTwo: pick(edges),
        op: `SCMP_CMP_${pick(operators)}`,
      });
      const profile: Seccomp = {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: Array.from({ length: 1 + random(20) }, () => ({
          names: [pick(names), pick(names)],
          action: 'SCMP_ACT_ERRNO' as const,
          errnoRet: 1 + random(100),
          args: Array.from({ length: random(4) }, argument),
        })),
      };
      const filter = compileSeccomp(profile, arch);
      writeFileSync(`${directory}/filter`, filter);
      const calls = Array.from({ length: 200 }, () => ({
        nr: Number(callNumber(pick(names))),
        args: Array.from({ length: 6 }, () => BigInt(pick(edges)) + BigInt(random(2))),
      }));
      const input = calls.map(({ nr, args }) => [nr, ...args].join(' ')).join('\n');
      const output = execFileSync(compileProbe(), ['filtered', `${directory}/filter`], { input, encoding: 'utf8' });
      const expected = calls.map((call) => {
        const action = interpretBpf(filter, { ...call, arch: auditArch[arch] });
        return action === 0x7fff0000 ? 0 : action & 0xffff;
      });
      assert.deepEqual(output.trim().split('\n').map(Number), expected, `round ${round}`);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
