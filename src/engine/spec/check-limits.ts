import { GantryError } from '#errors/index.ts';
import type { ResourceOptions } from '../engine.ts';

/** What this kernel, with its cgroups as they are mounted, can limit. */
export interface LimitAbilities {
  readonly memory: boolean;
  readonly swap: boolean;
  readonly swappiness: boolean;
  readonly oomKillDisable: boolean;
  readonly kernelMemoryTcp: boolean;
  readonly pids: boolean;
  readonly cpu: boolean;
  readonly realtime: boolean;
  readonly cpuset: boolean;
  readonly blockIoWeight: boolean;
  readonly blockIoThrottle: boolean;
  /** Processors online, and memory nodes, as lists of numbers. */
  readonly processors: readonly number[];
  readonly memoryNodes: readonly number[];
}

const leastMemory = 6 * 1024 * 1024;
const notMounted = 'or the cgroup is not mounted';

const refuse = (message: string): never => {
  throw new GantryError('invalid', message);
};

/** The list `0-2,4` as numbers; undefined where it is none. */
export function parseCpuList(text: string): readonly number[] | undefined {
  const parts = text.split(',').map((part) => /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim()));
  const numbers: number[] = [];
  for (const part of parts) {
    if (part === null) return undefined;
    const [first, last] = [Number(part[1]), Number(part[2] ?? part[1])];
    if (last < first) return undefined;
    for (let number = first; number <= last; number++) numbers.push(number);
  }
  return numbers;
}

function checkMemory({
  memoryBytes = 0,
  memorySwapBytes = 0,
  memoryReservationBytes = 0,
  memorySwappiness,
}: ResourceOptions) {
  if (memoryBytes > 0 && memoryBytes < leastMemory) refuse('Minimum memory limit allowed is 6MB');
  if (memoryReservationBytes > 0 && memoryReservationBytes < leastMemory)
    refuse('Minimum memory reservation allowed is 6MB');
  if (memorySwapBytes < -1) refuse(`invalid memory and swap limit ${memorySwapBytes}; use -1 for none`);
  if (memoryBytes > 0 && memorySwapBytes > 0 && memorySwapBytes < memoryBytes)
    refuse('Minimum memoryswap limit should be larger than memory limit, see usage');
  if (memoryBytes === 0 && memorySwapBytes > 0)
    refuse('You should always set the Memory limit when using Memoryswap limit, see usage');
  if (memoryBytes > 0 && memoryReservationBytes > memoryBytes)
    refuse('Minimum memory limit can not be less than memory reservation limit, see usage');
  if (memorySwappiness !== undefined && (memorySwappiness < 0 || memorySwappiness > 100))
    refuse(`Invalid value: ${memorySwappiness}, valid memory swappiness range is 0-100`);
}

function checkCpu(options: ResourceOptions, { processors }: LimitAbilities) {
  const { nanoCpus, cpuPeriod, cpuQuota, cpuShares, cpuRealtimePeriod, cpuRealtimeRuntime } = options;
  if (nanoCpus !== undefined && cpuPeriod !== undefined)
    refuse('Conflicting options: Nano CPUs and CPU Period cannot both be set');
  if (nanoCpus !== undefined && cpuQuota !== undefined)
    refuse('Conflicting options: Nano CPUs and CPU Quota cannot both be set');
  const count = processors.length;
  if (nanoCpus !== undefined && (nanoCpus < 0.01e9 || nanoCpus > count * 1e9))
    refuse(`range of CPUs is from 0.01 to ${count}.00, as there are only ${count} CPUs available`);
  if (cpuPeriod !== undefined && (cpuPeriod < 1000 || cpuPeriod > 1_000_000))
    refuse('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  if (cpuQuota !== undefined && cpuQuota > 0 && cpuQuota < 1000)
    refuse('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  if (cpuShares !== undefined && cpuShares < 0) refuse(`shares ${cpuShares} can not be less than 0`);
  if (cpuRealtimeRuntime !== undefined && cpuRealtimePeriod !== undefined && cpuRealtimeRuntime > cpuRealtimePeriod)
    refuse('cpu real-time runtime cannot be higher than cpu real-time period');
}

function checkCpuset({ cpusetCpus, cpusetMems }: ResourceOptions, { processors, memoryNodes }: LimitAbilities) {
  const check = (kind: string, title: string, asked: string | undefined, available: readonly number[]) => {
    if (asked === undefined) return;
    const numbers = parseCpuList(asked) ?? refuse(`Invalid value ${asked} for cpuset ${kind}`);
    if (!numbers.every((number) => available.includes(number)))
      refuse(`Requested ${title} are not available - requested ${asked}, available: ${available.join(',')}`);
  };
  check('cpus', 'CPUs', cpusetCpus, processors);
  check('mems', 'memory nodes', cpusetMems, memoryNodes);
}

function checkBlockIo({ blockIoWeight, blockIoWeightDevices = [], ...options }: ResourceOptions) {
  if (blockIoWeight !== undefined && (blockIoWeight < 10 || blockIoWeight > 1000))
    refuse('Range of blkio weight is from 10 to 1000');
  for (const { path, weight } of blockIoWeightDevices)
    if (weight < 10 || weight > 1000) refuse(`Range of blkio weight is from 10 to 1000, not ${weight} for ${path}`);
  for (const list of [
    options.blockIoReadBps,
    options.blockIoWriteBps,
    options.blockIoReadIops,
    options.blockIoWriteIops,
  ])
    for (const { path, rate } of list ?? [])
      if (!Number.isSafeInteger(rate) || rate < 0) refuse(`invalid rate ${rate} for device ${path}`);
}

/** [the options it is about, whether the kernel can, what is said where it cannot] */
const discards = (can: LimitAbilities): readonly (readonly [readonly (keyof ResourceOptions)[], boolean, string])[] => [
  [
    ['memoryBytes', 'memorySwapBytes', 'memoryReservationBytes'],
    can.memory,
    `Your kernel does not support memory limit capabilities ${notMounted}. Limitation discarded.`,
  ],
  [
    ['memorySwappiness'],
    can.swappiness,
    `Your kernel does not support memory swappiness capabilities ${notMounted}. Memory swappiness discarded.`,
  ],
  [['oomKillDisable'], can.oomKillDisable, 'Your kernel does not support OomKillDisable. OomKillDisable discarded.'],
  [
    ['kernelMemoryTcpBytes'],
    can.kernelMemoryTcp,
    `Your kernel does not support kernel memory TCP limit capabilities ${notMounted}. Limitation discarded.`,
  ],
  [
    ['pidsLimit'],
    can.pids,
    `Your kernel does not support PIDs limit capabilities ${notMounted}. PIDs limit discarded.`,
  ],
  [['cpuShares'], can.cpu, `Your kernel does not support CPU shares ${notMounted}. Shares discarded.`],
  [
    ['cpuPeriod', 'cpuQuota', 'nanoCpus'],
    can.cpu,
    `Your kernel does not support CPU CFS scheduler ${notMounted}. CPU period and quota discarded.`,
  ],
  [['cpusetCpus', 'cpusetMems'], can.cpuset, `Your kernel does not support cpuset ${notMounted}. Cpuset discarded.`],
  [
    ['blockIoWeight'],
    can.blockIoWeight,
    `Your kernel does not support Block I/O weight ${notMounted}. Weight discarded.`,
  ],
  [
    ['blockIoWeightDevices'],
    can.blockIoWeight,
    `Your kernel does not support Block I/O weight_device ${notMounted}. Weight-device discarded.`,
  ],
  [
    ['blockIoReadBps', 'blockIoWriteBps', 'blockIoReadIops', 'blockIoWriteIops'],
    can.blockIoThrottle,
    `Your kernel does not support Block I/O rate limits ${notMounted}. Rate limits discarded.`,
  ],
];

/**
 * Checks limits, and leaves out what the kernel cannot do, each with a warning in Docker's words. Memory without a word on
 * swap gets as much swap again, as Docker has it.
 * @throws GantryError invalid, naming limit and value; unsupported for real time that the kernel cannot give
 */
export function checkLimits<T extends ResourceOptions>(
  asked: T,
  can: LimitAbilities,
): { readonly options: T; readonly warnings: readonly string[] } {
  checkMemory(asked);
  checkCpu(asked, can);
  checkCpuset(asked, can);
  checkBlockIo(asked);
  if ((asked.cpuRealtimePeriod ?? asked.cpuRealtimeRuntime) !== undefined && !can.realtime)
    throw new GantryError(
      'unsupported',
      'Your kernel does not support CPU real-time scheduler: cpu real-time period and runtime cannot be set',
    );
  const options: { -readonly [K in keyof T]: T[K] } = { ...asked };
  const warnings: string[] = [];
  for (const [names, able, warning] of discards(can)) {
    if (able || names.every((name) => options[name] === undefined)) continue;
    for (const name of names) delete options[name];
    warnings.push(warning);
  }
  const { memoryBytes = 0, memorySwapBytes } = options;
  if (memoryBytes > 0 && !can.swap) {
    if (memorySwapBytes !== -1)
      warnings.push(`Your kernel does not support swap limit capabilities ${notMounted}. Memory limited without swap.`);
    delete options.memorySwapBytes;
  } else if (memoryBytes > 0 && memorySwapBytes === undefined)
    Object.assign(options, { memorySwapBytes: memoryBytes * 2 });
  if (options.oomKillDisable && memoryBytes === 0)
    warnings.push(
      'OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.',
    );
  return { options, warnings };
}
