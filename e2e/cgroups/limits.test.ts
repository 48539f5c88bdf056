import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { type Cgroup, type CgroupResources, openCgroups } from '#linux/index.ts';

const cgroups = openCgroups();
const path = `/gantry-test-limits-${process.pid}/inner`;

/** What the kernel has in a file of a cgroup with these limits; undefined where no controller of the host has it. */
async function kept(resources: CgroupResources, ...files: readonly string[]): Promise<readonly (string | undefined)[]> {
  let cgroup: Cgroup | undefined;
  try {
    cgroup = cgroups.create(path, resources);
    const { directories } = cgroup;
    return files.map((file) => {
      for (const directory of directories)
        try {
          return readFileSync(`${directory}/${file}`, 'utf8').trim();
        } catch {}
      return undefined;
    });
  } finally {
    await cgroup?.remove();
    await cgroups.open(path.slice(0, path.lastIndexOf('/'))).remove();
  }
}

const isV1 = cgroups.layout !== 'v2';
const controllers = cgroups.hierarchies.flatMap(({ controllers }) => controllers.split(','));
const unified = cgroups.hierarchies.find(({ version }) => version === 2)?.mountpoint;
const v2Has = (name: string) =>
  unified !== undefined && readFileSync(`${unified}/cgroup.controllers`, 'utf8').split(/\s+/).includes(name);

test('memory: swappiness, the OOM killer and TCP buffers', { skip: !isV1 }, async () => {
  const [swappiness, oom = '', tcp] = await kept(
    { memory: { limit: 64 << 20, swappiness: 7, disableOOMKiller: true, kernelTCP: 1 << 20, useHierarchy: true } },
    ...['memory.swappiness', 'memory.oom_control', 'memory.kmem.tcp.limit_in_bytes'],
  );
  assert.equal(swappiness, '7');
  assert.match(oom, /^oom_kill_disable 1$/m);
  assert.equal(tcp, String(1 << 20));
  const [unlimited] = await kept({ memory: { limit: 2n ** 63n - 1n } }, 'memory.limit_in_bytes');
  assert.ok(BigInt(unlimited ?? 0) > 2n ** 62n);
});

test('cpu: burst, idle, and real time down the whole path', async () => {
  const quota = { quota: 20_000, period: 100_000, burst: 10_000 };
  const [burst, idle] = await kept(
    { cpu: { ...quota, idle: 1 } },
    isV1 ? 'cpu.cfs_burst_us' : 'cpu.max.burst',
    'cpu.idle',
  );
  assert.deepEqual([burst, idle], ['10000', '1']);
  if (!isV1) return;
  const realtime = await kept({ cpu: { realtimePeriod: 1_000_000, realtimeRuntime: 1000 } }, 'cpu.rt_runtime_us');
  assert.deepEqual(realtime, ['1000']);
});

test('blockIO: rates of a device and weights', async () => {
  const { rdev } = statSync('/dev/vda', { throwIfNoEntry: false }) ?? { rdev: 0 };
  if (rdev === 0) return;
  const device = { major: rdev >> 8, minor: rdev & 255 };
  const rates = {
    throttleReadBpsDevice: [{ ...device, rate: 1 << 20 }],
    throttleWriteIOPSDevice: [{ ...device, rate: 77 }],
  };
  const numbers = `${device.major}:${device.minor}`;
  if (isV1)
    assert.deepEqual(
      await kept(
        { blockIO: { weight: 321, ...rates } },
        'blkio.throttle.read_bps_device',
        'blkio.throttle.write_iops_device',
        'blkio.bfq.weight',
      ),
      [`${numbers} ${1 << 20}`, `${numbers} 77`, '321'],
    );
  else
    assert.match((await kept({ blockIO: rates }, 'io.max'))[0] ?? '', new RegExp(`^${numbers} rbps=1048576.*wiops=77`));
});

test('hugepageLimits and unified: v2 enables what is asked', { skip: !v2Has('hugetlb') }, async () => {
  const limits = {
    hugepageLimits: [{ pageSize: '2MB', limit: 4 << 20 }],
    unified: { 'hugetlb.1GB.max': '1073741824' },
  };
  assert.deepEqual(await kept(limits, 'hugetlb.2MB.max', 'hugetlb.2MB.rsvd.max', 'hugetlb.1GB.max'), [
    String(4 << 20),
    String(4 << 20),
    '1073741824',
  ]);
});

test('network: classes and priorities of packets, or a refusal that names the field', async () => {
  const network = { classID: 0x10_0001 };
  if (controllers.includes('net_cls'))
    assert.deepEqual(await kept({ network }, 'net_cls.classid'), [String(0x10_0001)]);
  else await assert.rejects(kept({ network }), { kind: 'unsupported', message: /network\.classID/ });
});

test('rdma: limits of a device, or a refusal that names the field', {
  skip: controllers.includes('rdma') || v2Has('rdma'),
}, async () => {
  await assert.rejects(kept({ rdma: { mlx5_1: { hcaHandles: 3 } } }), { kind: 'unsupported', message: /rdma/ });
});
