import type { DeviceRate, ResourceOptions } from '#engine/index.ts';
import type { throttle, updateBody } from './schema/container.ts';
import type { ShapeOf } from './schema/schema.ts';

/** Limits on what a container takes: a part of HostConfig, and the body of an update (Engine API: Resources). */
export type ResourcesBody = Omit<ShapeOf<typeof updateBody>, 'RestartPolicy'>;
type Throttle = ShapeOf<typeof throttle>;

/** The fields of those that are asked: absent, null and zero mean they are not. */
export function asked<T extends object>(
  fields: {
    readonly [K in keyof T]: T[K] | null | undefined | '' | 0 | false;
  },
): Partial<T> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value && !(Array.isArray(value) && value.length === 0)),
  ) as Partial<T>;
}

const rates = (list: readonly Throttle[] | null | undefined): readonly DeviceRate[] | undefined =>
  list?.map(({ Path = '', Rate = 0 }) => ({ path: Path, rate: Rate }));

/** Limits in the engine's words. A swappiness of -1 is Docker's way not to ask; 0 is a swappiness. */
export function resourceOptionsOf(body: ResourcesBody): ResourceOptions {
  const { MemorySwappiness: swappiness } = body;
  return {
    ...asked<ResourceOptions>({
      memoryBytes: body.Memory,
      memorySwapBytes: body.MemorySwap,
      memoryReservationBytes: body.MemoryReservation,
      oomKillDisable: body.OomKillDisable,
      nanoCpus: body.NanoCpus,
      cpuShares: body.CpuShares,
      cpuQuota: body.CpuQuota,
      cpuPeriod: body.CpuPeriod,
      cpuRealtimePeriod: body.CpuRealtimePeriod,
      cpuRealtimeRuntime: body.CpuRealtimeRuntime,
      cpusetCpus: body.CpusetCpus,
      cpusetMems: body.CpusetMems,
      kernelMemoryTcpBytes: body.KernelMemoryTCP,
      pidsLimit: body.PidsLimit,
      blockIoWeight: body.BlkioWeight,
      blockIoWeightDevices: body.BlkioWeightDevice?.map(({ Path = '', Weight = 0 }) => ({
        path: Path,
        weight: Weight,
      })),
      blockIoReadBps: rates(body.BlkioDeviceReadBps),
      blockIoWriteBps: rates(body.BlkioDeviceWriteBps),
      blockIoReadIops: rates(body.BlkioDeviceReadIOps),
      blockIoWriteIops: rates(body.BlkioDeviceWriteIOps),
    }),
    ...(swappiness === null || swappiness === undefined || swappiness === -1 ? {} : { memorySwappiness: swappiness }),
  };
}

const throttles = (list: readonly DeviceRate[] | undefined): readonly Throttle[] | null =>
  list?.map(({ path, rate }) => ({ Path: path, Rate: rate })) ?? null;

/** The same limits as inspect shows them. */
export const resourcesShape = (options: ResourceOptions) => ({
  Memory: options.memoryBytes ?? 0,
  MemorySwap: options.memorySwapBytes ?? 0,
  MemoryReservation: options.memoryReservationBytes ?? 0,
  MemorySwappiness: options.memorySwappiness ?? null,
  OomKillDisable: options.oomKillDisable ?? null,
  NanoCpus: options.nanoCpus ?? 0,
  CpuShares: options.cpuShares ?? 0,
  CpuQuota: options.cpuQuota ?? 0,
  CpuPeriod: options.cpuPeriod ?? 0,
  CpuRealtimePeriod: options.cpuRealtimePeriod ?? 0,
  CpuRealtimeRuntime: options.cpuRealtimeRuntime ?? 0,
  CpusetCpus: options.cpusetCpus ?? '',
  CpusetMems: options.cpusetMems ?? '',
  ...(options.kernelMemoryTcpBytes === undefined ? {} : { KernelMemoryTCP: options.kernelMemoryTcpBytes }),
  PidsLimit: options.pidsLimit ?? null,
  BlkioWeight: options.blockIoWeight ?? 0,
  BlkioWeightDevice: options.blockIoWeightDevices?.map(({ path, weight }) => ({ Path: path, Weight: weight })) ?? [],
  BlkioDeviceReadBps: throttles(options.blockIoReadBps),
  BlkioDeviceWriteBps: throttles(options.blockIoWriteBps),
  BlkioDeviceReadIOps: throttles(options.blockIoReadIops),
  BlkioDeviceWriteIOps: throttles(options.blockIoWriteIops),
});
