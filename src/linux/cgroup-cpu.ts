import { GantryError } from '#errors/index.ts';
import { type ControllerDirectory, readControlIfThere, writeControl } from './cgroup-files.ts';
import type { CgroupResources } from './cgroups.ts';
import { SyscallError } from './kernel.ts';

type Cpu = NonNullable<CgroupResources['cpu']>;

const MIN_SHARES = 2;
const MAX_SHARES = 262_144;

/**
 * v1's shares (2…262144, 1024 by default) as v2's weight (1…10000, 100 by default): the curve through those three
 * points that runc and crun use, so that a default container weighs as much as other cgroups.
 */
export function sharesToWeight(shares: number): number {
  const clamped = Math.min(Math.max(shares, MIN_SHARES), MAX_SHARES);
  const l = Math.log2(clamped);
  return Math.ceil(10 ** ((l * l + 125 * l) / 612 - 7 / 34) - 1e-9);
}

function writeV1(directory: ControllerDirectory, cpu: Cpu): void {
  const { shares, quota, period, burst, realtimePeriod, realtimeRuntime } = cpu;
  const write = (file: string, value: number | undefined, field: string) =>
    value !== undefined && writeControl(directory, file, String(value), field);
  write('cpu.shares', shares, 'cpu.shares');
  const writeQuota = () => write('cpu.cfs_quota_us', quota === undefined || quota > 0 ? quota : -1, 'cpu.quota');
  const writePeriod = () => write('cpu.cfs_period_us', period, 'cpu.period');
  try {
    writePeriod();
  } catch (error) {
    // A shorter period may be refused against the old quota, or against the parent's; then the quota goes first.
    if (quota === undefined || !(error instanceof SyscallError) || error.code !== 'EINVAL') throw error;
    writeQuota();
    writePeriod();
  }
  writeQuota();
  write('cpu.cfs_burst_us', burst, 'cpu.burst');
  write('cpu.rt_period_us', realtimePeriod, 'cpu.realtimePeriod');
  write('cpu.rt_runtime_us', realtimeRuntime, 'cpu.realtimeRuntime');
}

function writeV2(directory: ControllerDirectory, cpu: Cpu): void {
  const { shares, quota, period, burst, realtimePeriod, realtimeRuntime } = cpu;
  if (realtimePeriod || realtimeRuntime)
    throw new GantryError(
      'unsupported',
      `cpu.realtimeRuntime ${realtimeRuntime ?? 0} in ${realtimePeriod ?? 0}: cgroup v2 has no such limit; leave it out`,
    );
  if (shares !== undefined) writeControl(directory, 'cpu.weight', String(sharesToWeight(shares)), 'cpu.shares');
  if (quota !== undefined || period !== undefined) {
    const [current = 'max'] = (readControlIfThere(directory, 'cpu.max') ?? 'max').split(' ');
    const wanted = quota === undefined ? current : quota > 0 ? String(quota) : 'max';
    const field = quota === undefined ? 'cpu.period' : 'cpu.quota';
    writeControl(directory, 'cpu.max', period === undefined ? wanted : `${wanted} ${period}`, field);
  }
  if (burst !== undefined) writeControl(directory, 'cpu.max.burst', String(burst), 'cpu.burst');
}

/**
 * Shares, quota and burst per period, real time per period, all in microseconds; a quota ≤ 0 is none. A cgroup that is
 * idle takes no shares, so it becomes idle last and stops being so first.
 * @throws SyscallError, GantryError invalid | unsupported
 */
export function writeCpu(directory: ControllerDirectory, cpu: Cpu): void {
  if (cpu.shares !== undefined && cpu.shares < 0)
    throw new GantryError(
      'invalid',
      `cpu.shares ${cpu.shares} is below 0; use 2 to ${MAX_SHARES}, 1024 is the default`,
    );
  const writeIdle = () => writeControl(directory, 'cpu.idle', String(cpu.idle), 'cpu.idle');
  if (cpu.idle === 0) writeIdle();
  if (directory.version === 1) writeV1(directory, cpu);
  else writeV2(directory, cpu);
  if (cpu.idle !== undefined && cpu.idle !== 0) writeIdle();
}

/**
 * v1 gives real time only where every cgroup above has as much of it: what the parent lacks it is given.
 * @throws SyscallError EINVAL where the hierarchy has no more
 */
export function grantRealtime(parent: ControllerDirectory, { realtimePeriod, realtimeRuntime }: Cpu): void {
  const has = Number(readControlIfThere(parent, 'cpu.rt_runtime_us') ?? 0);
  if (realtimeRuntime === undefined || has < 0 || has >= realtimeRuntime) return;
  writeV1(parent, { ...(realtimePeriod === undefined ? {} : { realtimePeriod }), realtimeRuntime });
}

/** The processors and memory nodes to run on, as lists like `0-2,4`; the files have one name in both versions. */
export function writeCpuset(directory: ControllerDirectory, { cpus, mems }: Cpu): void {
  if (cpus !== undefined) writeControl(directory, 'cpuset.cpus', cpus, 'cpu.cpus');
  if (mems !== undefined) writeControl(directory, 'cpuset.mems', mems, 'cpu.mems');
}

/** v1: no process may join a cpuset without processors or memory nodes, and a new one has none; it takes its parent's. */
export function inheritCpuset(parent: ControllerDirectory, child: ControllerDirectory): void {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (readControlIfThere(child, file) === '')
      writeControl(child, file, readControlIfThere(parent, file) ?? '', `inherited ${file}`);
  }
}
