import { integer, listOf, type ParsedOptions, text, value } from './options.ts';
import { parseBytes } from './units.ts';

const bytes = (help: string, short?: string) => value('bytes', parseBytes, help, short === undefined ? {} : { short });

const cpus = (written: string): number => {
  if (!/^\d+(?:\.\d{1,9})?$|^\.\d{1,9}$/.test(written)) throw new Error(`"${written}" is not a number of processors`);
  return Math.round(Number(written) * 1e9);
};

/** `--memory-swap`: bytes, or -1 for no limit. */
const swap = (written: string): number => (written === '-1' ? -1 : parseBytes(written));

const weight = (written: string): number => {
  if (!/^\d+$/.test(written) || Number(written) > 65535)
    throw new Error(`"${written}" is not a weight from 10 to 1000`);
  return Number(written);
};

/** The flags of limits that `run`, `create` and `update` share. */
export const resourceOptions = {
  'blkio-weight': value('uint16', weight, 'Block IO (relative weight), between 10 and 1000, or 0 to disable', {
    shownDefault: '0',
  }),
  'cpu-period': integer('Limit CPU CFS (Completely Fair Scheduler) period'),
  'cpu-quota': integer('Limit CPU CFS (Completely Fair Scheduler) quota'),
  'cpu-rt-period': integer('Limit CPU real-time period in microseconds'),
  'cpu-rt-runtime': integer('Limit CPU real-time runtime in microseconds'),
  'cpu-shares': integer('CPU shares (relative weight)', { short: 'c' }),
  cpus: value('decimal', cpus, 'Number of CPUs'),
  'cpuset-cpus': text('CPUs in which to allow execution (0-3, 0,1)'),
  'cpuset-mems': text('MEMs in which to allow execution (0-3, 0,1)'),
  memory: bytes('Memory limit', 'm'),
  'memory-reservation': bytes('Memory soft limit'),
  'memory-swap': value('bytes', swap, "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"),
  'pids-limit': integer('Tune container pids limit (set -1 for unlimited)'),
} as const;

/** The same limits of a request's body; zero asks for nothing. */
export const resourcesBody = ({ values }: Pick<ParsedOptions<typeof resourceOptions>, 'values'>) => ({
  BlkioWeight: values['blkio-weight'] ?? 0,
  Memory: values.memory ?? 0,
  MemorySwap: values['memory-swap'] ?? 0,
  MemoryReservation: values['memory-reservation'] ?? 0,
  NanoCpus: values.cpus ?? 0,
  CpuShares: values['cpu-shares'] ?? 0,
  CpuQuota: values['cpu-quota'] ?? 0,
  CpuPeriod: values['cpu-period'] ?? 0,
  CpuRealtimePeriod: values['cpu-rt-period'] ?? 0,
  CpuRealtimeRuntime: values['cpu-rt-runtime'] ?? 0,
  CpusetCpus: values['cpuset-cpus'],
  CpusetMems: values['cpuset-mems'],
  ...(values['pids-limit'] === undefined ? {} : { PidsLimit: values['pids-limit'] }),
});

/** `/dev/vda:VALUE`. @throws Error in Docker's words */
function ofDevice(written: string): readonly [path: string, value: string] {
  const [, path = '', rest = ''] = /^([^:]+):(.+)$/.exec(written) ?? [];
  if (path === '') throw new Error(`bad format: ${written}`);
  if (!path.startsWith('/dev/')) throw new Error(`bad format for device path: ${written}`);
  return [path, rest];
}

const deviceWeight = (written: string) => {
  const [path, text] = ofDevice(written);
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < 10 || number > 1000) throw new Error(`invalid weight for device: ${written}`);
  return { Path: path, Weight: number };
};

const deviceRate = (read: (text: string) => number, format: string) => (written: string) => {
  const [path, text] = ofDevice(written);
  let rate: number;
  try {
    rate = read(text);
  } catch {
    throw new Error(`invalid rate for device: ${written}. The correct format is <device-path>:${format}`);
  }
  return { Path: path, Rate: rate };
};

const bytesRate = deviceRate(
  parseBytes,
  '<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb',
);
const operationsRate = deviceRate((text) => {
  if (!/^\d+$/.test(text)) throw new Error('not a number');
  return Number(text);
}, '<number>. Number must be a positive integer');

/** The flags of limits on single devices, of `run` and `create` only. */
export const deviceLimitOptions = {
  'blkio-weight-device': listOf(deviceWeight, 'Block IO weight (relative device weight)', { label: 'list' }),
  'device-read-bps': listOf(bytesRate, 'Limit read rate (bytes per second) from a device'),
  'device-read-iops': listOf(operationsRate, 'Limit read rate (IO per second) from a device'),
  'device-write-bps': listOf(bytesRate, 'Limit write rate (bytes per second) to a device'),
  'device-write-iops': listOf(operationsRate, 'Limit write rate (IO per second) to a device'),
} as const;

const orNull = <T>(entries: readonly T[]): readonly T[] | null => (entries.length === 0 ? null : entries);

export const deviceLimitsBody = ({ values }: Pick<ParsedOptions<typeof deviceLimitOptions>, 'values'>) => ({
  BlkioWeightDevice: orNull(values['blkio-weight-device']),
  BlkioDeviceReadBps: orNull(values['device-read-bps']),
  BlkioDeviceReadIOps: orNull(values['device-read-iops']),
  BlkioDeviceWriteBps: orNull(values['device-write-bps']),
  BlkioDeviceWriteIOps: orNull(values['device-write-iops']),
});
