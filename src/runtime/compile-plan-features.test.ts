import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LinuxConfig, Mount, Process, RuntimeSpec } from '#oci/index.ts';
import { type ContainerPlanInput, compileContainer, compileExec } from './compile-plan.ts';
import { cloneFlags } from './linux-flags.ts';
import type { PlanStep } from './plan.ts';
import { seccompFilterOf } from './seccomp-filter.ts';

const process: Process = { user: { uid: 7, gid: 8 }, args: ['true'], env: ['PATH=/bin'], cwd: '/' };
const host = { capabilities: (1n << 41n) - 1n, hierarchies: [] };
const subject = { id: 'c', bundle: '/bundle' };
const namespaces = (['mount', 'pid', 'network'] as const).map((type) => ({ type }));
const ids = [{ containerID: 0, hostID: 100_000, size: 1000 }];
const user = { namespaces: [...namespaces, { type: 'user' as const }], uidMappings: ids, gidMappings: ids };

function compile(linux: LinuxConfig, spec: Partial<RuntimeSpec> = {}, input: Partial<ContainerPlanInput> = {}) {
  return compileContainer({
    spec: { ociVersion: '1.3.0', process, ...spec, linux: { namespaces, ...linux } },
    rootfs: [{ destination: '/', type: 'bind', source: '/root' }],
    cgroup: [],
    seccomp: undefined,
    subject,
    host,
    ...input,
  });
}

const names = (steps: readonly PlanStep[]) => steps.map(({ name }) => name);
const of = (steps: readonly PlanStep[], ...wanted: readonly PlanStep['name'][]) =>
  steps.filter(({ name }) => wanted.includes(name)).map(({ name, args }) => [name, ...args]);

test('a user namespace: the host mounts what is its own, a helper goes in, the child is root there', () => {
  const mounts: readonly Mount[] = [
    { destination: '/proc', type: 'proc' },
    { destination: '/data', type: 'bind', source: '/data' },
  ];
  const limits = { ...process, rlimits: [{ type: 'RLIMIT_CORE', soft: 0, hard: 0 }] };
  const steps = compile(user, { mounts, process: limits });
  const clone = names(steps).indexOf('clone');
  const before = names(steps.slice(0, clone));
  assert.deepEqual(before.slice(0, 4), ['user-namespace', 'open-tree', 'setattr', 'hold']);
  assert.deepEqual(before.slice(-4), ['helper', 'rlimit', 'stdio-owner', 'setns']);
  assert.deepEqual(of(steps, 'user-namespace'), [['user-namespace', 5, '0 100000 1000\n', '0 100000 1000\n']]);
  assert.deepEqual(of(steps, 'stdio-owner'), [['stdio-owner', 100_007]]);
  assert.deepEqual(of(steps, 'setns'), [['setns', 5, cloneFlags.user]]);
  assert.deepEqual(of(steps, 'clone')[0]?.[1], cloneFlags.mount | cloneFlags.pid | cloneFlags.network);
  const after = names(steps.slice(clone + 1));
  assert.deepEqual(after.slice(0, 5), ['groups', 'ids', 'propagation', 'take', 'root']);
  // /proc is of the container's namespaces, nodes are the host's.
  assert.ok(after.includes('fsopen') && !after.includes('open-tree') && !after.includes('node'));
  assert.equal(of(steps, 'device-tree').length, 6);
});

test('an idmapped overlay has each layer by a mount of its own, upper and work by one', () => {
  const options = ['lowerdir=/a:/b', 'upperdir=/s/up', 'workdir=/s/work', 'volatile'];
  const overlay: Mount = { destination: '/', type: 'overlay', options, uidMappings: ids, gidMappings: ids };
  const steps = compile({}, {}, { rootfs: [overlay] });
  assert.deepEqual(of(steps, 'open-tree', 'layer', 'fs-ids', 'hold'), [
    ['open-tree', '/a', 0],
    ['layer', 'lowerdir+', ''],
    ['hold', 6],
    ['open-tree', '/b', 0],
    ['layer', 'lowerdir+', ''],
    ['hold', 7],
    ['open-tree', '/s', 0],
    ['layer', 'upperdir', 'up'],
    ['layer', 'workdir', 'work'],
    ['hold', 8],
    ['fs-ids', 100_000, 100_000],
    ['fs-ids', 0, 0],
  ]);
  assert.throws(
    () => compile({}, {}, { rootfs: [{ ...overlay, options: ['lowerdir=/a', 'upperdir=/s/u', 'workdir=/w'] }] }),
    {
      message: /must lie side by side/,
    },
  );
});

test('time offsets are written by the parent before the clone; without any the clone makes the namespace', () => {
  const time = [...namespaces, { type: 'time' as const }];
  const plain = compile({ namespaces: time });
  assert.equal((of(plain, 'clone')[0]?.[1] as number) & cloneFlags.time, cloneFlags.time);
  const offset = compile({ namespaces: time, timeOffsets: { monotonic: { secs: -5, nanosecs: 3 }, boottime: {} } });
  assert.deepEqual(names(offset).slice(0, 3), ['unshare', 'write', 'clone']);
  assert.deepEqual(of(offset, 'write')[0]?.slice(1), ['/proc/self/timens_offsets', Buffer.from('monotonic -5 3\n')]);
});

test('hooks stand in their order: the parent’s first, the container’s after the meeting and before the pivot, the last before exec', () => {
  const hook = (path: string) => [{ path, timeout: 2 }];
  const hooks = {
    prestart: hook('/1'),
    createRuntime: hook('/2'),
    createContainer: hook('/3'),
    startContainer: hook('/4'),
    poststart: hook('/5'),
  };
  const steps = compile({}, { hooks });
  assert.deepEqual(names(steps).slice(0, 2), ['runtime-hook', 'runtime-hook']);
  const order = names(steps).filter((name) => ['meet', 'hook', 'pivot', 'ready', 'exec'].includes(name));
  assert.deepEqual(order, ['meet', 'hook', 'pivot', 'ready', 'hook', 'exec']);
  const [, path, , , milliseconds, before, after] = of(steps, 'hook')[0] ?? [];
  assert.deepEqual([path, milliseconds], ['/3', 2000]);
  assert.deepEqual(JSON.parse(`${before}42${after}`), {
    ociVersion: '1.3.0',
    id: 'c',
    status: 'creating',
    pid: 42,
    bundle: '/bundle',
    annotations: {},
  });
  assert.deepEqual(of(steps, 'root'), [['root', '/root', 0]]);
  assert.ok(!names(compile({})).includes('meet'));
  assert.throws(() => compile({}, { hooks: { prestart: [{ path: 'x' }] } }), {
    message: /"x": the path must be absolute/,
  });
  assert.throws(() => compile({}, { hooks: { prestart: [{ path: '/x', timeout: 0 }] } }), { message: /timeout 0/ });
});

test('an agent is reached while the host is there, and gets the listener last', () => {
  const seccomp = {
    defaultAction: 'SCMP_ACT_ALLOW' as const,
    listenerPath: '/agent',
    flags: ['SECCOMP_FILTER_FLAG_TSYNC', 'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'],
    syscalls: [{ names: ['chmod'], action: 'SCMP_ACT_NOTIFY' as const }],
  };
  const filter = seccompFilterOf({ ociVersion: '1.3.0', linux: { seccomp } }, subject);
  const steps = compile({}, { process: { ...process, noNewPrivileges: true } }, { seccomp: filter });
  const order = names(steps).filter((name) =>
    ['clone', 'connect', 'meet', 'pivot', 'seccomp-notify', 'exec'].includes(name),
  );
  assert.deepEqual(order, ['clone', 'connect', 'meet', 'pivot', 'seccomp-notify', 'exec']);
  const [, flags, , slot, ...state] = of(steps, 'seccomp-notify')[0] ?? [];
  assert.deepEqual([flags, slot], [1 | 16 | 32, 2]);
  assert.equal((JSON.parse(state.join('9')) as { state: { pid: number } }).state.pid, 9);
});

test('scheduling is set before the start; labels are opened early and written last, where the host has the module', () => {
  const given: Process = {
    ...process,
    scheduler: { policy: 'SCHED_FIFO', priority: 5, flags: ['SCHED_FLAG_RESET_ON_FORK'] },
    ioPriority: { class: 'IOPRIO_CLASS_RT', priority: 3 },
    apparmorProfile: 'strict',
  };
  const modules = { apparmor: true, selinux: false };
  const steps = compile({ personality: { domain: 'LINUX32' } }, { process: given }, { host: { ...host, modules } });
  const attr = of(steps, 'scheduler')[0]?.[1] as Buffer;
  assert.deepEqual(
    [attr.readUInt32LE(0), attr.readUInt32LE(4), attr.readBigUInt64LE(8), attr.readUInt32LE(20)],
    [48, 1, 1n, 5],
  );
  assert.deepEqual(of(steps, 'io-priority', 'personality'), [
    ['io-priority', (1 << 13) | 3],
    ['personality', 8],
  ]);
  assert.deepEqual(of(steps, 'open')[0]?.[2], '/proc/self/attr/apparmor/exec');
  assert.deepEqual(of(steps, 'write-slot'), [['write-slot', 3, Buffer.from('exec strict')]]);
  assert.deepEqual(names(steps).slice(-2), ['write-slot', 'exec']);
  const selinux = { ...host, modules: { apparmor: false, selinux: true } };
  const labelled = compile({ mountLabel: 'l' }, { process: { ...process, selinuxLabel: 'p' } }, { host: selinux });
  assert.deepEqual(of(labelled, 'open')[0]?.[2], '/proc/self/attr/exec');
  for (const [change, message] of [
    [{ scheduler: { policy: 'SCHED_ODD' } }, /process\.scheduler\.policy "SCHED_ODD"/],
    [{ scheduler: { policy: 'SCHED_OTHER', nice: 20 } }, /nice 20/],
    [{ ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 8 } }, /ioPriority\.priority 8/],
  ] as const)
    assert.throws(() => compile({}, { process: { ...process, ...change } }), { message });
});

test('an exec into a user namespace does first what the host alone may, then becomes root, then its user', () => {
  const target = { pid: 5, startTime: 9n, namespaces: cloneFlags.user | cloneFlags.mount, uidMappings: ids };
  const affinity = { ...process, execCPUAffinity: { initial: '0-1', final: '65' } };
  const steps = compileExec({ process: affinity, seccomp: undefined, target, cgroup: [], host });
  assert.deepEqual(names(steps).slice(0, 8), [
    'affinity',
    'pidfd',
    'clone',
    'stdio-owner',
    'setns',
    'groups',
    'ids',
    'affinity',
  ]);
  assert.deepEqual(of(steps, 'affinity'), [
    ['affinity', Buffer.from('0300000000000000', 'hex')],
    ['affinity', Buffer.from('00000000000000000200000000000000', 'hex')],
  ]);
});

test('what cannot be is refused, naming the field', () => {
  const cases: readonly [LinuxConfig, RegExp][] = [
    [{ namespaces: [...namespaces, { type: 'user' }] }, /uidMappings/],
    [{ uidMappings: ids }, /need a user namespace/],
    [
      { ...user, gidMappings: [{ containerID: 5, hostID: 5, size: 1 }] },
      /linux\.gidMappings must map the container's 0/,
    ],
    [{ timeOffsets: { monotonic: { secs: 1 } } }, /timeOffsets needs a time namespace/],
    [{ memoryPolicy: { mode: 'MPOL_ODD' } }, /memoryPolicy\.mode "MPOL_ODD"/],
    [{ personality: { domain: 'BSD' } }, /personality\.domain "BSD"/],
    [{ netDevices: { eth1: { name: 'a/b' } } }, /netDevices eth1: "a\/b"/],
    [{ namespaces: [{ type: 'mount' }], netDevices: { eth1: {} } }, /netDevices eth1: it needs a network namespace/],
    [{ devices: [{ path: '/dev/x', type: 'c' }] }, /needs major and minor/],
    [{ sysctl: { 'user.max_user_namespaces': '1' } }, /user\.max_user_namespaces/],
  ];
  for (const [linux, message] of cases) assert.throws(() => compile(linux), { message });
});
