import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mount, Process, RuntimeSpec } from '#oci/index.ts';
import { compileContainer, compileExec } from './compile-plan.ts';
import { cloneFlags } from './linux-flags.ts';
import type { PlanStep } from './plan.ts';

const all = (1n << 41n) - 1n;
const program = Buffer.alloc(8);
const host = {
  capabilities: all,
  hierarchies: [{ mountpoint: '/sys/fs/cgroup', controllers: 'unified', version: 2 }],
} as const;
const process: Process = { user: { uid: 0, gid: 0 }, args: ['true'], env: ['PATH=/a::/b'], cwd: '/' };
const namespaces = (['mount', 'pid', 'network', 'ipc', 'uts', 'cgroup'] as const).map((type) => ({ type }));
const rootfs: readonly Mount[] = [{ destination: '/', type: 'bind', source: '/r', options: ['rbind'] }];

function compile(
  spec: Partial<RuntimeSpec> = {},
  more: Partial<Parameters<typeof compileContainer>[0]> = {},
): readonly PlanStep[] {
  return compileContainer({
    spec: { ociVersion: '1.2.0', process, ...spec, linux: { namespaces, ...spec.linux } },
    rootfs,
    cgroup: [],
    seccomp: undefined,
    host,
    ...more,
  });
}
const names = (steps: readonly PlanStep[]) => steps.map(({ name }) => name);
const only = (steps: readonly PlanStep[], ...wanted: readonly string[]) =>
  steps.filter(({ name }) => wanted.includes(name)).map(({ name, args }) => [name, ...args]);

test('compileContainer orders cgroup, namespace, mounts, masks, pivot, ready and identity', () => {
  const steps = compile(
    {
      hostname: 'h',
      mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
      root: { path: '', readonly: true },
      linux: { namespaces, maskedPaths: ['/proc/kcore'], readonlyPaths: ['/proc/sys'], sysctl: { 'net.a': '1' } },
    },
    {
      cgroup: [
        { path: '/c/memory', version: 1 },
        { path: '/c/unified', version: 2 },
      ],
    },
  );
  const order = [
    'open',
    'clone',
    'write',
    'unshare',
    'hostname',
    'propagation',
    'open-tree',
    'root',
    'fsopen',
    'attach',
    'node',
    'symlink',
  ];
  const rest = [
    'mask',
    'readonly',
    'mkdir',
    'root-attr',
    'pivot',
    'session',
    'cwd',
    'ready',
    'bounding',
    'ids',
    'capset',
    'exec',
  ];
  const places = [...order, ...rest].map((name) => names(steps).indexOf(name as PlanStep['name']));
  assert.ok(!places.includes(-1));
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  );
  const flags = cloneFlags.mount | cloneFlags.pid | cloneFlags.network | cloneFlags.ipc | cloneFlags.uts;
  assert.deepEqual(only(steps, 'clone', 'unshare'), [
    ['clone', flags, 1],
    ['unshare', cloneFlags.cgroup],
  ]);
});

test('compileContainer loads seccomp last with no-new-privileges, and before the capabilities go without', () => {
  const seccomp = { flags: 0, program };
  const tail = (noNewPrivileges: boolean) => {
    const steps = names(compile({ process: { ...process, noNewPrivileges, user: { uid: 7, gid: 7 } } }, { seccomp }));
    return steps.slice(steps.indexOf('ids') + 1);
  };
  assert.deepEqual(tail(true), ['capset', 'ambient', 'no-new-privileges', 'seccomp', 'exec']);
  assert.deepEqual(tail(false), ['capset', 'seccomp', 'capset', 'ambient', 'exec']);
});

test('compileContainer splits an overlay’s lower directories, escaped colons and all', () => {
  const overlay: Mount = {
    destination: '/',
    type: 'overlay',
    options: ['lowerdir=/a:/b\\:c', 'upperdir=/u', 'volatile'],
  };
  assert.deepEqual(
    only(compile({}, { rootfs: [overlay] }), 'fsconfig').map(([, , key, value]) => [key, value]),
    [
      ['lowerdir+', '/a'],
      ['lowerdir+', '/b:c'],
      ['upperdir', '/u'],
      ['volatile', ''],
      ['', ''],
    ],
  );
});

test('compileContainer looks a name up in PATH, leaves a path alone, and puts init in front', () => {
  const exec = (steps: readonly PlanStep[]) => only(steps, 'exec')[0]?.slice(1);
  assert.deepEqual(exec(compile()), [['/a/true', '/b/true'], ['true'], ['PATH=/a::/b'], 0]);
  assert.deepEqual(exec(compile({ process: { ...process, args: ['./x', 'y'] } })), [
    ['./x'],
    ['./x', 'y'],
    ['PATH=/a::/b'],
    0,
  ]);
  const mounts = [{ destination: '/dev', type: 'tmpfs', source: 'tmpfs' }];
  const init = compile({ mounts }, { init: '/opt/init' });
  assert.deepEqual(exec(init), [['/dev/init'], ['/dev/init', 'true'], ['PATH=/a::/b'], 1]);
  assert.throws(() => compile({}, { init: '/opt/init' }), { kind: 'unsupported' });
});

test('compileContainer keeps to what the host has: capabilities it lacks are left out', () => {
  const capabilities = {
    bounding: ['CAP_CHOWN', 'CAP_SYS_RESOURCE'],
    effective: ['CAP_SYS_RESOURCE'],
    permitted: ['CAP_CHOWN'],
  };
  const steps = compile(
    { process: { ...process, capabilities } },
    { host: { ...host, capabilities: all & ~(1n << 24n) } },
  );
  assert.deepEqual(only(steps, 'bounding', 'capset'), [
    ['bounding', 1n],
    ['capset', 0n, 1n, 0n],
  ]);
});

test('compileContainer takes limits of 2^63 and more, and negative ones, as none', () => {
  const rlimits = [
    { type: 'RLIMIT_CORE', soft: 5, hard: 2 ** 64 },
    { type: 'RLIMIT_NOFILE', soft: -1, hard: -1 },
  ];
  const infinity = 2n ** 64n - 1n;
  assert.deepEqual(only(compile({ process: { ...process, rlimits } }), 'rlimit'), [
    ['rlimit', 4, 5n, infinity],
    ['rlimit', 7, infinity, infinity],
  ]);
});

test('compileContainer refuses what would reach the host, naming it', () => {
  const cases: readonly [Partial<RuntimeSpec>, RegExp][] = [
    [{ linux: { namespaces, sysctl: { 'kernel.panic': '1' } } }, /kernel\.panic/],
    [{ linux: { namespaces: [{ type: 'mount' }], sysctl: { 'net.x': '1' } } }, /net\.x/],
    [{ linux: { namespaces, sysctl: { 'net..x': '1' } } }, /net\.\.x/],
    [{ linux: { namespaces, sysctl: { 'net./../kernel/panic': '1' } } }, /panic/],
    [{ hostname: 'x', linux: { namespaces: [{ type: 'mount' }] } }, /uts namespace/],
    [{ linux: { namespaces: [{ type: 'pid' }] } }, /mount namespace/],
    [{ linux: { namespaces: [...namespaces, { type: 'user' }] } }, /uidMappings/],
    [{ linux: { namespaces: [...namespaces, { type: 'pid' }] } }, /pid namespace is given twice/],
    [{ linux: { namespaces, rootfsPropagation: 'odd' } }, /"odd"/],
    [{ mounts: [{ destination: '/', type: 'tmpfs' }] }, /below \//],
    [{ mounts: [{ destination: '/x', type: 'bind', source: 'relative' }] }, /"relative"/],
    [{ mounts: [{ destination: '/x', type: 'tmpfs', options: ['idmap'] }] }, /idmap needs/],
    [{ mounts: [{ destination: '/x', type: 'bind', source: '/x', options: ['size=1'] }] }, /"size=1"/],
    [{ process: { ...process, args: [] } }, /no command/],
    [{ process: { ...process, cwd: 'x' } }, /"x"/],
    [{ process: { ...process, capabilities: { bounding: ['CAP_FLY'] } } }, /CAP_FLY/],
    [{ process: { ...process, rlimits: [{ type: 'RLIMIT_X', soft: 1, hard: 1 }] } }, /RLIMIT_X/],
    [{ process: { ...process, rlimits: [{ type: 'RLIMIT_CPU', soft: 2, hard: 1 }] } }, /above the hard limit/],
  ];
  for (const [spec, message] of cases) assert.throws(() => compile(spec), { message });
});

test('the last of contradicting mount options wins, and rw asks a bind for nothing', () => {
  const attrs = (...options: readonly string[]) =>
    only(compile({ mounts: [{ destination: '/x', type: 'bind', source: '/x', options }] }), 'setattr')
      .slice(1)
      .map(([, ...args]) => args);
  assert.deepEqual(attrs('bind', 'rw'), []);
  assert.deepEqual(attrs('bind', 'ro', 'rw'), []);
  assert.deepEqual(attrs('bind', 'rw', 'ro', 'nosuid', 'suid'), [[0, 1, 2, 0]]);
  assert.deepEqual(attrs('rbind', 'rro', 'rslave'), [
    [1, 1, 0, 0],
    [1, 0, 0, 0x80000],
  ]);
  assert.deepEqual(attrs('bind', 'noatime', 'private'), [
    [0, 0x10, 0x70, 0],
    [0, 0, 0, 0x40000],
  ]);
});

test('compileExec joins a task by pid and start time: pid namespace before the clone, others after the cgroup', () => {
  const steps = compileExec({
    process,
    seccomp: undefined,
    target: { pid: 5, startTime: 99n, namespaces: cloneFlags.pid | cloneFlags.mount },
    cgroup: [{ path: '/c', version: 1 }],
    host,
  });
  assert.deepEqual(names(steps).slice(0, 6), ['pidfd', 'setns', 'clone', 'write', 'setns', 'session']);
  assert.deepEqual(only(steps, 'pidfd', 'setns'), [
    ['pidfd', 1, 5, 99n],
    ['setns', 1, cloneFlags.pid],
    ['setns', 1, cloneFlags.mount],
  ]);
});
