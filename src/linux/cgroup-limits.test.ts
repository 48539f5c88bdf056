import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CgroupFiles, ControllerDirectory } from './cgroup-files.ts';
import { controllerNames } from './cgroup-hierarchies.ts';
import { controllersFor, writeLimits } from './cgroup-limits.ts';
import type { CgroupResources } from './cgroups.ts';
import { SyscallError } from './kernel.ts';

/** What is written, to a cgroup that has these files. */
function written(
  version: 1 | 2,
  resources: CgroupResources,
  contents: Readonly<Record<string, string>>,
): readonly string[] {
  const writes: string[] = [];
  const name = (path: string) => {
    const file = path.replace('/cg/', '');
    if (contents[file] === undefined) throw new SyscallError('open', 2, path);
    return file;
  };
  const files: CgroupFiles = {
    read: (path) => contents[name(path)] ?? '',
    write: (path, value) => void writes.push(`${name(path)} ${value}`),
    makeDirectory: () => false,
    removeDirectory: () => false,
    directories: () => [],
  };
  const directory: ControllerDirectory = { version, path: '/cg', files };
  const of = new Map(controllerNames.map((controller) => [controller, directory]));
  writeLimits({ of, unified: directory }, resources, () => undefined);
  return writes;
}

const having = (...names: readonly string[]) => Object.fromEntries(names.map((name) => [name, '0']));

const memory = { limit: 9, reservation: 4, swap: 12, kernel: -1, swappiness: 0, disableOOMKiller: false } as const;
const cpu = { shares: 1024, quota: 5000, period: 10_000, burst: 2000, idle: 1 } as const;
const device = { major: 8, minor: 0 } as const;
const blockIO = {
  weight: 500,
  weightDevice: [{ ...device, weight: 10 }],
  throttleReadBpsDevice: [{ ...device, rate: 2n ** 60n }],
  throttleWriteBpsDevice: [{ ...device, rate: 0 }],
  throttleReadIOPSDevice: [{ ...device, rate: 3 }],
  throttleWriteIOPSDevice: [{ ...device, rate: 4 }],
};

test('writeLimits on v1 writes each field to its file', () => {
  const memoryFiles = having(
    ...['limit_in_bytes', 'memsw.limit_in_bytes', 'soft_limit_in_bytes', 'kmem.tcp.limit_in_bytes', 'swappiness'].map(
      (f) => `memory.${f}`,
    ),
    'memory.oom_control',
  );
  assert.deepEqual(written(1, { memory: { ...memory, kernelTCP: 7, useHierarchy: true } }, memoryFiles), [
    'memory.memsw.limit_in_bytes 12',
    'memory.limit_in_bytes 9',
    'memory.soft_limit_in_bytes 4',
    'memory.kmem.tcp.limit_in_bytes 7',
    'memory.swappiness 0',
    'memory.oom_control 0',
  ]);
  const cpuFiles = having(
    ...['shares', 'cfs_quota_us', 'cfs_period_us', 'cfs_burst_us', 'rt_period_us', 'rt_runtime_us', 'idle'].map(
      (f) => `cpu.${f}`,
    ),
  );
  assert.deepEqual(written(1, { cpu: { ...cpu, realtimePeriod: 1_000_000, realtimeRuntime: 900 } }, cpuFiles), [
    'cpu.shares 1024',
    'cpu.cfs_period_us 10000',
    'cpu.cfs_quota_us 5000',
    'cpu.cfs_burst_us 2000',
    'cpu.rt_period_us 1000000',
    'cpu.rt_runtime_us 900',
    'cpu.idle 1',
  ]);
  const throttles = ['read_bps', 'write_bps', 'read_iops', 'write_iops'].map((what) => `blkio.throttle.${what}_device`);
  const rates = [
    `blkio.throttle.read_bps_device 8:0 ${2n ** 60n}`,
    'blkio.throttle.write_bps_device 8:0 0',
    'blkio.throttle.read_iops_device 8:0 3',
    'blkio.throttle.write_iops_device 8:0 4',
  ];
  assert.deepEqual(written(1, { blockIO }, having(...throttles, 'blkio.bfq.weight', 'blkio.bfq.weight_device')), [
    'blkio.bfq.weight 500',
    'blkio.bfq.weight_device 8:0 10',
    ...rates,
  ]);
  assert.deepEqual(
    written(
      1,
      { blockIO: { ...blockIO, leafWeight: 20 } },
      having(...throttles, 'blkio.weight', 'blkio.weight_device', 'blkio.leaf_weight'),
    ),
    ['blkio.weight 500', 'blkio.leaf_weight 20', 'blkio.weight_device 8:0 10', ...rates],
  );
  assert.deepEqual(
    written(
      1,
      {
        hugepageLimits: [{ pageSize: '2MB', limit: 4 << 20 }],
        network: { classID: 1_048_577, priorities: [{ name: 'eth0', priority: 5 }] },
        rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 10_000 }, mlx4_0: { hcaObjects: 1 } },
      },
      having(
        'hugetlb.2MB.limit_in_bytes',
        'hugetlb.2MB.rsvd.limit_in_bytes',
        'net_cls.classid',
        'net_prio.ifpriomap',
        'rdma.max',
      ),
    ),
    [
      'hugetlb.2MB.limit_in_bytes 4194304',
      'hugetlb.2MB.rsvd.limit_in_bytes 4194304',
      'net_cls.classid 1048577',
      'net_prio.ifpriomap eth0 5',
      'rdma.max mlx5_1 hca_handle=3 hca_object=10000',
      'rdma.max mlx4_0 hca_object=1',
    ],
  );
});

test('writeLimits on v2 says the same in its words', () => {
  const { swappiness: _, ...others } = memory;
  assert.deepEqual(
    written(
      2,
      { memory: others, cpu, blockIO },
      {
        ...having('memory.max', 'memory.swap.max', 'memory.low', 'cpu.weight', 'cpu.max', 'cpu.max.burst', 'cpu.idle'),
        ...having('io.weight', 'io.max'),
      },
    ),
    [
      'memory.swap.max 3',
      'memory.max 9',
      'memory.low 4',
      'cpu.weight 100',
      'cpu.max 5000 10000',
      'cpu.max.burst 2000',
      'cpu.idle 1',
      'io.weight 4950',
      'io.weight 8:0 1',
      `io.max 8:0 rbps=${2n ** 60n}`,
      'io.max 8:0 wbps=max',
      'io.max 8:0 riops=3',
      'io.max 8:0 wiops=4',
    ],
  );
  assert.deepEqual(
    written(
      2,
      { hugepageLimits: [{ pageSize: '1GB', limit: 0 }], unified: { 'memory.high': '5' } },
      having('hugetlb.1GB.max', 'memory.high'),
    ),
    ['hugetlb.1GB.max 0', 'memory.high 5'],
  );
  assert.deepEqual(written(2, { cpu: { idle: 0, shares: 2 } }, having('cpu.idle', 'cpu.weight')), [
    'cpu.idle 0',
    'cpu.weight 1',
  ]);
});

test('writeLimits refuses what cannot be, naming the field', () => {
  const cases: readonly [1 | 2, CgroupResources, RegExp][] = [
    [2, { memory: { swappiness: 5 } }, /memory\.swappiness 5: cgroup v2/],
    [2, { memory: { disableOOMKiller: true } }, /memory\.disableOOMKiller true: cgroup v2/],
    [2, { memory: { kernelTCP: 5 } }, /memory\.kernelTCP 5/],
    [1, { memory: { kernel: 5 } }, /memory\.kernel 5: the kernel no longer/],
    [1, { memory: { useHierarchy: false } }, /memory\.useHierarchy false/],
    [1, { memory: { swappiness: 101 } }, /memory\.swappiness 101/],
    [2, { memory: { limit: 5, checkBeforeUpdate: true } }, /memory\.limit 5 is below the 100 bytes in use/],
    [2, { cpu: { realtimeRuntime: 5 } }, /cpu\.realtimeRuntime 5/],
    [1, { blockIO: { weight: 5 } }, /blockIO\.weight 5 is out of range/],
    [1, { hugepageLimits: [{ pageSize: '../x', limit: 0 }] }, /hugepageLimits \.\.\/x/],
    [2, { network: { classID: 5 } }, /network\.classID: cgroup v2 marks no packets/],
    [1, { rdma: { mlx: { hcaHandles: 1 } } }, /rdma mlx.*there is no rdma\.max/],
  ];
  for (const [version, resources, message] of cases)
    assert.throws(() => written(version, resources, { 'memory.current': '100' }), { message });
});

test('controllersFor names what v2 must enable beyond the usual', () => {
  const limits = {
    hugepageLimits: [{ pageSize: '2MB', limit: 0 }],
    rdma: { x: {} },
    unified: { 'misc.max': '1', 'memory.high': '1' },
  };
  assert.deepEqual(controllersFor(limits), ['hugetlb', 'rdma', 'misc']);
  assert.deepEqual(controllersFor({ memory: { limit: 1 } }), []);
});
