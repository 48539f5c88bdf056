import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResourceOptions } from '../engine.ts';
import { checkLimits, type LimitAbilities, parseCpuList } from './check-limits.ts';

const all: LimitAbilities = {
  memory: true,
  swap: true,
  swappiness: true,
  kernelMemoryTcp: true,
  oomKillDisable: true,
  pids: true,
  cpu: true,
  realtime: true,
  cpuset: true,
  blockIoWeight: true,
  blockIoThrottle: true,
  processors: [0, 1],
  memoryNodes: [0],
};
const mega = 1024 * 1024;

test('checkLimits gives as much swap as memory, where nothing is said', () => {
  assert.deepEqual(checkLimits({ memoryBytes: 8 * mega }, all), {
    options: { memoryBytes: 8 * mega, memorySwapBytes: 16 * mega },
    warnings: [],
  });
  assert.equal(checkLimits({ memoryBytes: 8 * mega, memorySwapBytes: -1 }, all).options.memorySwapBytes, -1);
});

test('checkLimits leaves out what the kernel cannot do, with Docker\u2019s warning', () => {
  const lacking = (ability: keyof LimitAbilities, options: ResourceOptions) =>
    checkLimits(options, { ...all, [ability]: false });
  assert.deepEqual(lacking('swap', { memoryBytes: 8 * mega, memorySwapBytes: 9 * mega }), {
    options: { memoryBytes: 8 * mega },
    warnings: [
      'Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.',
    ],
  });
  assert.deepEqual(lacking('swap', { memoryBytes: 8 * mega, memorySwapBytes: -1 }).warnings, []);
  const cases: readonly (readonly [keyof LimitAbilities, ResourceOptions, RegExp])[] = [
    ['memory', { memoryBytes: 8 * mega }, /memory limit capabilities/],
    ['swappiness', { memorySwappiness: 5 }, /swappiness discarded/],
    ['oomKillDisable', { oomKillDisable: true }, /OomKillDisable discarded/],
    ['kernelMemoryTcp', { kernelMemoryTcpBytes: 5 }, /memory TCP limit capabilities/],
    ['pids', { pidsLimit: 5 }, /PIDs limit discarded/],
    ['cpu', { cpuShares: 5 }, /Shares discarded/],
    ['cpu', { nanoCpus: 1e9 }, /CPU CFS scheduler/],
    ['cpuset', { cpusetCpus: '0' }, /Cpuset discarded/],
    ['blockIoWeight', { blockIoWeight: 100 }, /Weight discarded/],
    ['blockIoWeight', { blockIoWeightDevices: [{ path: '/dev/vda', weight: 100 }] }, /Weight-device discarded/],
    ['blockIoThrottle', { blockIoReadBps: [{ path: '/dev/vda', rate: 1 }] }, /Rate limits discarded/],
  ];
  for (const [ability, options, warning] of cases) {
    const checked = lacking(ability, options);
    assert.deepEqual(checked.options, {}, ability);
    assert.match(checked.warnings.join(), warning);
    assert.deepEqual(
      checkLimits(options, all).warnings.filter((w) => warning.test(w)),
      [],
      ability,
    );
  }
  assert.throws(() => lacking('realtime', { cpuRealtimeRuntime: 1000 }), { kind: 'unsupported' });
});

test('checkLimits warns of no memory limit without an OOM killer', () => {
  assert.match(checkLimits({ oomKillDisable: true }, all).warnings.join(), /OOM killer is disabled for the container/);
  assert.deepEqual(checkLimits({ oomKillDisable: true, memoryBytes: 8 * mega }, all).warnings, []);
});

test('checkLimits refuses what contradicts itself, naming the value', () => {
  const wrong = (options: ResourceOptions, message: RegExp) =>
    assert.throws(() => checkLimits(options, all), { kind: 'invalid', message });
  wrong({ memoryReservationBytes: 5 }, /reservation allowed is 6MB/);
  wrong({ memoryBytes: 8 * mega, memoryReservationBytes: 9 * mega }, /less than memory reservation limit/);
  wrong({ memorySwappiness: 101 }, /101, valid memory swappiness range is 0-100/);
  wrong({ nanoCpus: 1e9, cpuPeriod: 1000 }, /Nano CPUs and CPU Period/);
  wrong({ nanoCpus: 3e9 }, /from 0\.01 to 2\.00/);
  wrong({ cpusetMems: '1' }, /memory nodes are not available - requested 1, available: 0/);
  wrong({ blockIoWeight: 9 }, /blkio weight is from 10 to 1000/);
  wrong({ cpuRealtimeRuntime: 20, cpuRealtimePeriod: 10 }, /runtime cannot be higher than/);
});

test('parseCpuList reads lists of the kernel', () => {
  assert.deepEqual(parseCpuList('0-2,5'), [0, 1, 2, 5]);
  for (const wrong of ['', 'a', '2-1', '1,', '-1']) assert.equal(parseCpuList(wrong), undefined, wrong);
});
