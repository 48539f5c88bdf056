import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isGantryError } from '#errors/index.ts';
import type { CgroupFiles } from './cgroup-files.ts';
import { type CgroupHost, openCgroups } from './cgroup-tree.ts';
import type { DeviceRules } from './ebpf-device-program.ts';
import { SyscallError } from './kernel.ts';

const v1Controls: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  memory: {
    'memory.limit_in_bytes': '9223372036854771712',
    'memory.memsw.limit_in_bytes': '9223372036854771712',
    'memory.soft_limit_in_bytes': '9223372036854771712',
    'memory.usage_in_bytes': '4096',
    'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 3\n',
  },
  cpu: { 'cpu.shares': '1024', 'cpu.cfs_quota_us': '-1', 'cpu.cfs_period_us': '100000' },
  cpuacct: { 'cpuacct.usage': '77' },
  cpuset: { 'cpuset.cpus': '\n', 'cpuset.mems': '\n' },
  pids: { 'pids.max': 'max', 'pids.current': '1' },
  devices: { 'devices.allow': '', 'devices.deny': '' },
  freezer: { 'freezer.state': 'THAWED' },
};

const v2Controls: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  memory: {
    'memory.max': 'max',
    'memory.swap.max': 'max',
    'memory.low': '0',
    'memory.high': 'max',
    'memory.current': '8192',
    'memory.events': 'low 0\noom_kill 2\n',
  },
  cpu: { 'cpu.weight': '100', 'cpu.max': 'max 100000' },
  cpuset: { 'cpuset.cpus': '', 'cpuset.mems': '' },
  pids: { 'pids.max': 'max', 'pids.current': '1' },
};

/** A kernel's cgroupfs in memory: a new directory has the files that its hierarchy gives it. */
function fakeKernel() {
  const contents = new Map<string, string>();
  const directories = new Set<string>();
  const writes: string[] = [];
  const v1Mounts = new Map<string, readonly string[]>();
  let v2Mount: string | undefined;
  const fail = (errno: number, path: string): never => {
    throw new SyscallError('open', errno, path);
  };
  const put = (directory: string, files: Readonly<Record<string, string>> = {}) => {
    for (const [name, value] of Object.entries(files)) contents.set(`${directory}/${name}`, value);
  };

  function populate(directory: string): void {
    directories.add(directory);
    put(directory, { 'cgroup.procs': '' });
    for (const [mount, controllers] of v1Mounts)
      if (directory.startsWith(mount)) for (const name of controllers) put(directory, v1Controls[name]);
    if (v2Mount === undefined || !directory.startsWith(v2Mount)) return;
    const parent = directory.slice(0, directory.lastIndexOf('/'));
    const enabled = contents.get(`${parent}/cgroup.subtree_control`) ?? '';
    put(directory, {
      'cgroup.controllers': enabled,
      'cgroup.subtree_control': '',
      'cgroup.events': 'populated 0\nfrozen 0\n',
      'cgroup.freeze': '0',
      'cgroup.kill': '',
      'cpu.stat': 'usage_usec 5\nuser_usec 4\n',
    });
    for (const name of enabled.split(' ')) put(directory, v2Controls[name]);
  }

  const files: CgroupFiles = {
    read: (path) => contents.get(path) ?? fail(2, path),
    write(path, value) {
      const before = contents.get(path) ?? fail(2, path);
      writes.push(`${path} ${value}`);
      if (!path.endsWith('cgroup.subtree_control')) contents.set(path, value);
      else contents.set(path, `${before} ${value.slice(1)}`.trim());
      if (path.endsWith('cgroup.freeze'))
        contents.set(path.replace('.freeze', '.events'), `populated 1\nfrozen ${value}\n`);
    },
    makeDirectory(path) {
      if (directories.has(path)) return false;
      if (!directories.has(path.slice(0, path.lastIndexOf('/')))) fail(2, path);
      populate(path);
      return true;
    },
    removeDirectory(path) {
      if (files.directories(path).length > 0) fail(16, path);
      for (const name of contents.keys()) if (name.startsWith(`${path}/`)) contents.delete(name);
      return directories.delete(path);
    },
    directories: (path) =>
      [...directories]
        .filter((directory) => directory.startsWith(`${path}/`) && !directory.slice(path.length + 1).includes('/'))
        .map((directory) => directory.slice(path.length + 1)),
  };

  return {
    files,
    writes,
    contents,
    directories,
    mountV1(path: string, ...controllers: readonly string[]) {
      v1Mounts.set(path, controllers);
      populate(path);
      if (controllers.includes('cpuset')) put(path, { 'cpuset.cpus': '0-3', 'cpuset.mems': '0' });
    },
    mountV2(path: string, controllers: string) {
      v2Mount = path;
      populate(path);
      put(path, { 'cgroup.controllers': controllers });
    },
  };
}

const attached: { directory: string; rules: DeviceRules }[] = [];

const host = (from: Pick<CgroupHost, 'files' | 'mountinfo'>, own: string, other = own): CgroupHost => ({
  ...from,
  processCgroups: (pid) => (pid === undefined ? own : other),
  attachDeviceFilter: (directory, rules) => attached.push({ directory, rules }),
});

const mount = (point: string, type: string, options: string, root = '/') =>
  `40 31 0:29 ${root} ${point} rw,relatime shared:9 - ${type} ${type} rw,${options}\n`;

function v1Host() {
  const kernel = fakeKernel();
  kernel.mountV1('/cg/cpu,cpuacct', 'cpu', 'cpuacct');
  kernel.mountV1('/cg/memory', 'memory');
  kernel.mountV1('/cg/cpuset', 'cpuset');
  kernel.mountV1('/cg/pids', 'pids');
  kernel.mountV1('/cg/devices', 'devices');
  kernel.mountV1('/cg/freezer', 'freezer');
  kernel.files.makeDirectory('/cg/memory/session');
  kernel.files.makeDirectory('/cg/memory/session/1');
  const mountinfo = [
    mount('/cg/cpu,cpuacct', 'cgroup', 'cpu,cpuacct'),
    mount('/cg/memory', 'cgroup', 'memory'),
    mount('/cg/cpuset', 'cgroup', 'cpuset'),
    mount('/cg/pids', 'cgroup', 'pids'),
    mount('/cg/devices', 'cgroup', 'devices'),
    mount('/cg/freezer', 'cgroup', 'freezer'),
    mount('/cg/systemd', 'cgroup', 'name=systemd'),
  ].join('');
  return { kernel, mountinfo, own: '9:name=systemd:/x\n4:memory:/session/1\n3:cpuacct,cpu:/\n2:pids:/\n1:cpuset:/\n' };
}

test('openCgroups on v1: below our own cgroup, cpuset inherited down the path, limits in their files', async () => {
  const { kernel, mountinfo, own } = v1Host();
  const cgroups = openCgroups(host({ files: kernel.files, mountinfo }, own));
  assert.equal(cgroups.layout, 'v1');
  assert.deepEqual(
    cgroups.hierarchies.map(({ controllers }) => controllers),
    ['cpu,cpuacct', 'memory', 'cpuset', 'pids', 'devices', 'freezer'],
  );
  const cgroup = cgroups.create('/gantry/a', {
    memory: { limit: 1 << 20, swap: 2 << 20, reservation: 1 << 19 },
    cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: '1' },
    pids: { limit: 10 },
    devices: [{ allow: false }, { allow: true, type: 'c', major: 1, access: 'rm' }],
  });
  assert.deepEqual(kernel.writes, [
    '/cg/cpuset/gantry/cpuset.cpus 0-3',
    '/cg/cpuset/gantry/cpuset.mems 0',
    '/cg/cpuset/gantry/a/cpuset.cpus 0-3',
    '/cg/cpuset/gantry/a/cpuset.mems 0',
    '/cg/memory/session/1/gantry/a/memory.limit_in_bytes 1048576',
    '/cg/memory/session/1/gantry/a/memory.memsw.limit_in_bytes 2097152',
    '/cg/memory/session/1/gantry/a/memory.soft_limit_in_bytes 524288',
    '/cg/cpu,cpuacct/gantry/a/cpu.shares 512',
    '/cg/cpu,cpuacct/gantry/a/cpu.cfs_period_us 100000',
    '/cg/cpu,cpuacct/gantry/a/cpu.cfs_quota_us 50000',
    '/cg/cpuset/gantry/a/cpuset.cpus 1',
    '/cg/pids/gantry/a/pids.max 10',
    '/cg/devices/gantry/a/devices.deny a',
    '/cg/devices/gantry/a/devices.allow c 1:* rm',
  ]);
  assert.deepEqual(cgroup.stats(), {
    cpuNanoseconds: 77,
    memoryBytes: 4096,
    memoryLimitBytes: 1 << 20,
    pids: 1,
    pidsLimit: 10,
  });
  assert.equal(cgroup.oomKills(), 3);
  await cgroup.remove();
  assert.ok(![...kernel.directories].some((directory) => directory.endsWith('/a')));
});

test('update on v1 keeps limit ≤ memory+swap at every write, downwards and upwards', () => {
  const { kernel, mountinfo, own } = v1Host();
  const cgroup = openCgroups(host({ files: kernel.files, mountinfo }, own)).create('/g', {
    memory: { limit: 4000, swap: 8000 },
  });
  const memory = '/cg/memory/session/1/g/memory';
  kernel.writes.length = 0;
  cgroup.update({ memory: { limit: 1000, swap: 2000 } });
  cgroup.update({ memory: { limit: 3000, swap: 6000 } });
  cgroup.update({ memory: { limit: -1, swap: -1 } });
  assert.deepEqual(kernel.writes, [
    `${memory}.limit_in_bytes 1000`,
    `${memory}.memsw.limit_in_bytes 2000`,
    `${memory}.memsw.limit_in_bytes 6000`,
    `${memory}.limit_in_bytes 3000`,
    `${memory}.memsw.limit_in_bytes -1`,
    `${memory}.limit_in_bytes -1`,
  ]);
});

test('open on v1 finds what was made from a neighbouring cgroup', () => {
  const { kernel, mountinfo, own } = v1Host();
  openCgroups(host({ files: kernel.files, mountinfo }, own)).create('/g', {});
  kernel.files.makeDirectory('/cg/memory/session/2');
  const later = openCgroups(host({ files: kernel.files, mountinfo }, own.replace('/session/1', '/session/2')));
  assert.ok(later.open('/g').directories.includes('/cg/memory/session/1/g'));
});

test('create below the root, and at: found again from anywhere by its directories', async () => {
  const { kernel, mountinfo, own } = v1Host();
  const made = openCgroups(host({ files: kernel.files, mountinfo }, own)).create('/g/x', {}, { below: 'root' });
  assert.ok(made.directories.includes('/cg/memory/g/x'));
  const found = openCgroups(host({ files: kernel.files, mountinfo }, '4:memory:/\n')).at(made.directories);
  assert.deepEqual([found.path, found.directories], ['/g/x', made.directories]);
  await found.remove();
  assert.ok(!kernel.directories.has('/cg/memory/g/x'));
});

test('openCgroups on hybrid: v1 limits, v2 kills and freezes', async () => {
  const { kernel, mountinfo, own } = v1Host();
  kernel.mountV2('/cg/unified', 'hugetlb');
  const withUnified = mountinfo + mount('/cg/unified', 'cgroup2', '');
  const cgroups = openCgroups(host({ files: kernel.files, mountinfo: withUnified }, `${own}0::/\n`));
  assert.equal(cgroups.layout, 'hybrid');
  const cgroup = cgroups.create('/g', { pids: { limit: 5 } });
  await cgroup.freeze();
  await cgroup.kill();
  assert.deepEqual(kernel.writes.slice(-3), [
    '/cg/pids/g/pids.max 5',
    '/cg/unified/g/cgroup.freeze 1',
    '/cg/unified/g/cgroup.kill 1',
  ]);
  assert.throws(
    () => cgroup.update({ unified: { 'memory.high': '5' } }),
    (error) => isGantryError(error, 'unsupported') && error.message.includes('memory.high'),
  );
});

function v2Host(controllers = 'cpuset cpu io memory hugetlb pids') {
  const kernel = fakeKernel();
  kernel.mountV2('/cg', controllers);
  return { kernel, host: host({ files: kernel.files, mountinfo: mount('/cg', 'cgroup2', 'nsdelegate') }, '0::/u/s\n') };
}

test('openCgroups on v2: at the root, controllers enabled down the path, limits in its words', async () => {
  const { kernel, host } = v2Host();
  attached.length = 0;
  const cgroups = openCgroups(host);
  assert.equal(cgroups.layout, 'v2');
  assert.deepEqual(cgroups.hierarchies, [{ mountpoint: '/cg', controllers: 'unified', version: 2 }]);
  const rules = [{ allow: false }, { allow: true, type: 'c', major: 1, minor: 3 }];
  const cgroup = cgroups.create('/gantry/a', {
    memory: { limit: 1 << 20, swap: 3 << 20, reservation: 4096 },
    cpu: { shares: 1024, quota: 50_000, period: 100_000, cpus: '0-1' },
    pids: { limit: -1 },
    devices: rules,
    unified: { 'memory.high': '900000' },
  });
  const enabled = ['cpuset', 'cpu', 'io', 'memory', 'pids'];
  assert.deepEqual(kernel.writes, [
    ...enabled.map((name) => `/cg/cgroup.subtree_control +${name}`),
    ...enabled.map((name) => `/cg/gantry/cgroup.subtree_control +${name}`),
    '/cg/gantry/a/memory.swap.max 2097152',
    '/cg/gantry/a/memory.max 1048576',
    '/cg/gantry/a/memory.low 4096',
    '/cg/gantry/a/cpu.weight 100',
    '/cg/gantry/a/cpu.max 50000 100000',
    '/cg/gantry/a/cpuset.cpus 0-1',
    '/cg/gantry/a/pids.max max',
    '/cg/gantry/a/memory.high 900000',
  ]);
  assert.deepEqual(attached, [{ directory: '/cg/gantry/a', rules }]);
  assert.deepEqual(cgroup.stats(), {
    cpuNanoseconds: 5000,
    memoryBytes: 8192,
    memoryLimitBytes: 1 << 20,
    pids: 1,
    pidsLimit: undefined,
  });
  assert.equal(cgroup.oomKills(), 2);
  kernel.writes.length = 0;
  cgroup.update({ cpu: { period: 20_000 } });
  cgroup.update({ memory: { limit: -1, swap: -1 } });
  cgroups.create('/gantry/b', {});
  assert.deepEqual(kernel.writes, [
    '/cg/gantry/a/cpu.max 50000 20000',
    '/cg/gantry/a/memory.swap.max max',
    '/cg/gantry/a/memory.max max',
  ]);
  await cgroup.remove();
  await cgroup.remove();
});

test('create undoes what it made, and names the field, where a controller is missing or a value is wrong', () => {
  const { kernel, host } = v2Host('memory');
  const cgroups = openCgroups(host);
  const refused = (resources: Parameters<typeof cgroups.create>[1], pattern: RegExp) => {
    assert.throws(() => cgroups.create('/gantry/a', resources), pattern);
    assert.deepEqual([...kernel.directories], ['/cg']);
  };
  refused({ pids: { limit: 3 } }, /pids\.limit: this host has no pids cgroup controller/);
  refused({ memory: { limit: 100, swap: 50 } }, /memory\.swap 50 is below memory\.limit 100/);
  refused({ memory: { swap: 50 } }, /memory\.limit is needed/);
  refused({ unified: { '../../x': '1' } }, /unified \.\.\/\.\.\/x: not a controller's file/);
  refused({ unified: { 'cgroup.procs': '1' } }, /unified cgroup\.procs/);
  for (const path of ['gantry', '/', '/a/../b', '/a//b'])
    assert.throws(
      () => cgroups.create(path, {}),
      (error) => isGantryError(error, 'invalid'),
    );
});

test('openCgroups in a container: the mount shows a part, our path is below its root', () => {
  const kernel = fakeKernel();
  kernel.mountV1('/cg/pids', 'pids');
  kernel.files.makeDirectory('/cg/pids/inner');
  const mountinfo = mount('/cg/pids', 'cgroup', 'pids', '/docker/c1');
  const cgroups = openCgroups(host({ files: kernel.files, mountinfo }, '4:pids:/docker/c1/inner\n'));
  assert.deepEqual(cgroups.create('/g', {}).directories, ['/cg/pids/inner/g']);
});

test('ofProcess leaves out hierarchies that the process shares with us', () => {
  const { kernel, mountinfo, own } = v1Host();
  const other = own.replace('/session/1', '/runc/c2').replace('pids:/', 'pids:/runc/c2');
  const cgroups = openCgroups(host({ files: kernel.files, mountinfo }, own, other));
  assert.deepEqual(cgroups.ofProcess(7).directories, ['/cg/memory/runc/c2', '/cg/pids/runc/c2']);
});
