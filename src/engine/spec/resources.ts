import type { BlockIoLimits, CpuLimits, MemoryLimits, Resources } from '#oci/index.ts';
import type { ResourceOptions } from '../engine.ts';

/** A block device's numbers by its path on the host. */
export type BlockDevices = ReadonlyMap<string, { readonly major: number; readonly minor: number }>;

/** Of `--cpus`, in microseconds. */
const period = 100_000;

/** An object of those that are defined; undefined where none is. */
function some<T extends object>(fields: { readonly [K in keyof T]: T[K] | undefined }): T | undefined {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return given.length === 0 ? undefined : (Object.fromEntries(given) as T);
}

const memoryOf = (options: ResourceOptions): MemoryLimits | undefined =>
  some<MemoryLimits>({
    limit: options.memoryBytes,
    swap: options.memorySwapBytes,
    reservation: options.memoryReservationBytes,
    kernelTCP: options.kernelMemoryTcpBytes,
    swappiness: options.memorySwappiness,
    disableOOMKiller: options.oomKillDisable,
  });

const cpuOf = (options: ResourceOptions): CpuLimits | undefined => {
  const { nanoCpus } = options;
  return some<CpuLimits>({
    shares: options.cpuShares,
    quota: nanoCpus === undefined ? options.cpuQuota : Math.floor((nanoCpus * period) / 1e9),
    period: nanoCpus === undefined ? options.cpuPeriod : period,
    realtimeRuntime: options.cpuRealtimeRuntime,
    realtimePeriod: options.cpuRealtimePeriod,
    cpus: options.cpusetCpus,
    mems: options.cpusetMems,
  });
};

function blockIoOf(options: ResourceOptions, devices: BlockDevices): BlockIoLimits | undefined {
  // Before a start none are known, and nothing is limited yet.
  const known = <T>(list: readonly (T & { readonly path: string })[] | undefined) =>
    list?.flatMap(({ path, ...rest }) => {
      const numbers = devices.get(path);
      return numbers === undefined ? [] : [{ ...numbers, ...rest }];
    });
  return some<BlockIoLimits>({
    weight: options.blockIoWeight,
    weightDevice: known(options.blockIoWeightDevices),
    throttleReadBpsDevice: known(options.blockIoReadBps),
    throttleWriteBpsDevice: known(options.blockIoWriteBps),
    throttleReadIOPSDevice: known(options.blockIoReadIops),
    throttleWriteIOPSDevice: known(options.blockIoWriteIops),
  });
}

/** Limits as the specification has them (config-linux.md#control-groups), for a start as for an update. */
export function resourcesOf(options: ResourceOptions, devices: BlockDevices = new Map()): Resources {
  return (
    some<Resources>({
      memory: memoryOf(options),
      cpu: cpuOf(options),
      pids: options.pidsLimit === undefined ? undefined : { limit: options.pidsLimit },
      blockIO: blockIoOf(options, devices),
    }) ?? {}
  );
}
