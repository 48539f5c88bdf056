import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Seccomp, SeccompArg } from '#oci/index.ts';
import { auditArch, compileSeccomp, defaultSeccompProfile, interpretBpf } from './index.ts';
import { syscallTables } from './syscall-tables.ts';

const allowed = 0x7fff0000;
const eperm = 0x00050001;
const enosys = 0x00050026;

function ask(profile: Seccomp, arch: 'x64' | 'arm64' = 'x64') {
  const filter = compileSeccomp(profile, arch);
  return (name: string, ...args: (number | bigint)[]) =>
    interpretBpf(filter, { nr: syscallTables[arch][name] ?? -1, arch: auditArch[arch], args });
}

test('compileSeccomp answers each of a whole table as its rule says', () => {
  for (const arch of ['x64', 'arm64'] as const) {
    const names = Object.keys(syscallTables[arch]);
    const odd = names.filter((_, index) => index % 2 === 1);
    const call = ask(
      { defaultAction: 'SCMP_ACT_KILL_PROCESS', syscalls: [{ names: odd, action: 'SCMP_ACT_ALLOW' }] },
      arch,
    );
    for (const name of names) assert.equal(call(name), odd.includes(name) ? allowed : 0x80000000, name);
  }
});

test('compileSeccomp compares 64 bits with every operator', () => {
  const values = [0n, 1n, 0x26n, 0xffffffffn, 0x1_0000_0000n, 0x1_0000_0026n, 0x2_0000_0001n, 0xffff_ffff_ffff_ffffn];
  const numbers = [0, 1, 0x26, 0xffffffff, 0x100000000, 0x100000026];
  const mask = (a: bigint, b: bigint) => (a & b) === 0n;
  const operators: readonly [SeccompArg['op'], (a: bigint, b: bigint) => boolean][] = [
    ['SCMP_CMP_EQ', (a, b) => a === b],
    ['SCMP_CMP_NE', (a, b) => a !== b],
    ['SCMP_CMP_LT', (a, b) => a < b],
    ['SCMP_CMP_LE', (a, b) => a <= b],
    ['SCMP_CMP_GT', (a, b) => a > b],
    ['SCMP_CMP_GE', (a, b) => a >= b],
    ['SCMP_CMP_MASKED_EQ', mask],
  ];
  for (const [op, holds] of operators)
    for (const value of numbers) {
      const call = ask({
        defaultAction: 'SCMP_ACT_ERRNO',
        syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW', args: [{ index: 3, value, op }] }],
      });
      for (const actual of values)
        assert.equal(
          call('read', 0, 0, 0, actual),
          holds(actual, BigInt(value)) ? allowed : eperm,
          `${actual} ${op} ${value}`,
        );
    }
});

test('compileSeccomp reaches far bodies through trampolines', () => {
  const syscalls = Object.keys(syscallTables.x64).map((name, value) => ({
    names: [name],
    action: 'SCMP_ACT_ALLOW' as const,
    args: [{ index: 0, value, op: 'SCMP_CMP_EQ' as const }],
  }));
  const call = ask({ defaultAction: 'SCMP_ACT_ERRNO', syscalls });
  syscalls.forEach(({ names: [name = ''] }, value) => {
    assert.equal(call(name, value), allowed, name);
    assert.equal(call(name, value + 1), eperm, name);
  });
});

test('compileSeccomp has every action, joins conditions, and ignores unknown names', () => {
  const call = ask({
    defaultAction: 'SCMP_ACT_LOG',
    syscalls: [
      { names: ['read', 'no_such_call', 'constructor'], action: 'SCMP_ACT_TRAP' },
      { names: ['write'], action: 'SCMP_ACT_TRACE', errnoRet: 7 },
      { names: ['open'], action: 'SCMP_ACT_NOTIFY' },
      { names: ['close'], action: 'SCMP_ACT_KILL' },
      {
        names: ['dup3'],
        action: 'SCMP_ACT_ERRNO',
        errnoRet: 38,
        args: [
          { index: 0, value: 1, op: 'SCMP_CMP_EQ' },
          { index: 1, value: 2, op: 'SCMP_CMP_EQ' },
        ],
      },
      {
        names: ['dup2'],
        action: 'SCMP_ACT_ERRNO',
        args: [
          { index: 0, value: 1, op: 'SCMP_CMP_EQ' },
          { index: 0, value: 2, op: 'SCMP_CMP_EQ' },
        ],
      },
    ],
  });
  assert.deepEqual(
    ['read', 'write', 'open', 'close', 'stat'].map((name) => call(name)),
    [0x30000, 0x7ff00007, 0x7fc00000, 0, 0x7ffc0000],
  );
  assert.equal(call('dup3', 1, 2), enosys);
  assert.equal(call('dup3', 1, 3), 0x7ffc0000);
  assert.equal(call('dup2', 2), eperm, 'conditions on one argument are alternatives');
});

test('compileSeccomp kills foreign architectures and refuses x32', () => {
  const filter = compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW' }, 'x64');
  assert.equal(interpretBpf(filter, { nr: 0, arch: 0x40000003 }), 0x80000000);
  assert.equal(interpretBpf(filter, { nr: 0x40000000, arch: auditArch.x64 }), eperm);
  assert.equal(interpretBpf(filter, { nr: 0, arch: auditArch.x64 }), allowed);
});

test('defaultSeccompProfile lets programs run and keeps the kernel away', () => {
  for (const arch of ['x64', 'arm64'] as const) {
    const call = ask(defaultSeccompProfile(['CAP_CHOWN', 'CAP_SYS_CHROOT']), arch);
    for (const name of ['read', 'openat', 'execve', 'futex', 'mmap', 'epoll_pwait', 'chroot', 'statx', 'rseq'])
      assert.equal(call(name), allowed, name);
    for (const name of [
      'io_uring_setup',
      'keyctl',
      'add_key',
      'userfaultfd',
      'bpf',
      'perf_event_open',
      'mount',
      'setns',
      'unshare',
      'kexec_load',
      'reboot',
    ])
      assert.equal(call(name), eperm, name);
    assert.equal(call('clone3'), enosys);
    assert.equal(call('clone', 0x3d0f00), allowed);
    for (const flag of [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000])
      assert.equal(call('clone', flag | 17), eperm);
    for (const family of [1, 2, 10, 16, 17]) assert.equal(call('socket', family), allowed);
    for (const family of [12, 19, 20, 23, 25, 34, 37, 38, 40, 46, 255, 0x1_0000_0026n, 0x1_0000_0028n])
      assert.equal(call('socket', family), eperm);
    assert.equal(call('personality', 0xffffffff), allowed);
    assert.equal(call('personality', 0x0040000), eperm);
  }
});

test('defaultSeccompProfile opens with capabilities', () => {
  const call = ask(defaultSeccompProfile(['CAP_SYS_ADMIN', 'CAP_SYS_TIME']));
  for (const name of ['clone3', 'mount', 'unshare', 'clock_settime']) assert.equal(call(name), allowed, name);
  assert.equal(call('clone', 0x10000000), allowed);
});

test('compileSeccomp takes 32-bit programs and x32 where they are listed, each by its own numbers', () => {
  const architectures = ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'];
  const syscalls = [
    { names: ['read', 'socket', 'shmget'], action: 'SCMP_ACT_ALLOW' as const },
    {
      names: ['write'],
      action: 'SCMP_ACT_ALLOW' as const,
      args: [{ index: 0, value: 0x1_0000_0005n, op: 'SCMP_CMP_EQ' as const }],
    },
    { names: ['ioctl'], action: 'SCMP_ACT_LOG' as const },
  ];
  const filter = compileSeccomp({ defaultAction: 'SCMP_ACT_ERRNO', architectures, syscalls }, 'x64');
  const call = (arch: number, nr: number, ...args: number[]) => interpretBpf(filter, { nr, arch, args });
  const { x64, x86, arm64 } = auditArch;
  const log = 0x7ffc0000;
  assert.deepEqual([call(x64, 0), call(x86, 3), call(x64, 0x40000000)], [allowed, allowed, allowed]);
  assert.deepEqual([call(x64, 16), call(x86, 54), call(x64, 0x40000000 + 514)], [log, log, log]);
  assert.deepEqual([call(x64, 3), call(x86, 0), call(x64, 0x40000000 + 16)], [eperm, eperm, eperm]);
  // Of 32 bits only the lower half can be meant.
  assert.deepEqual([call(x64, 1, 5), call(x64, 1, 0x1_0000_0005), call(x86, 4, 5)], [eperm, allowed, allowed]);
  // socketcall(SYS_SOCKET), socketcall(SYS_BIND), ipc(SHMGET).
  assert.deepEqual(
    [call(x86, 359), call(x86, 102, 1), call(x86, 102, 2), call(x86, 117, 23)],
    [allowed, allowed, eperm, allowed],
  );
  assert.equal(call(arm64, 0), 0x80000000);
  assert.throws(() => compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW', architectures: ['SCMP_ARCH_Z80'] }), /Z80/);
});
