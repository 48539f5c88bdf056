import {
  flag,
  int64,
  integer,
  list,
  mapOf,
  matching,
  object,
  oneOf,
  text,
  uint16,
  uint32,
  uint64,
} from './config-rules.ts';

const blockDevice = { major: int64, minor: int64 };
const throttle = list(object({ ...blockDevice, rate: uint64 }, ['major', 'minor']));

/** runtime-spec: config-linux.md#control-groups. Limits below 0 mean none. */
export const resourcesRule = object({
  devices: list(
    object(
      {
        allow: flag,
        type: oneOf('', 'a', 'b', 'c', 'u', 'p'),
        major: int64,
        minor: int64,
        access: matching(/^[rwm]*$/, 'use r, w and m'),
      },
      ['allow'],
    ),
  ),
  memory: object({
    limit: int64,
    reservation: int64,
    swap: int64,
    kernel: int64,
    kernelTCP: int64,
    swappiness: integer(0, 100),
    disableOOMKiller: flag,
    useHierarchy: flag,
    checkBeforeUpdate: flag,
  }),
  cpu: object({
    shares: uint64,
    quota: int64,
    burst: uint64,
    period: uint64,
    realtimeRuntime: int64,
    realtimePeriod: uint64,
    cpus: text,
    mems: text,
    idle: int64,
  }),
  pids: object({ limit: int64 }, ['limit']),
  blockIO: object({
    weight: uint16,
    leafWeight: uint16,
    weightDevice: list(object({ ...blockDevice, weight: uint16, leafWeight: uint16 }, ['major', 'minor'])),
    throttleReadBpsDevice: throttle,
    throttleWriteBpsDevice: throttle,
    throttleReadIOPSDevice: throttle,
    throttleWriteIOPSDevice: throttle,
  }),
  hugepageLimits: list(
    object({ pageSize: matching(/^[1-9][0-9]*[KMG]B$/, 'use a size like 2MB'), limit: uint64 }, ['pageSize', 'limit']),
  ),
  network: object({
    classID: uint32,
    priorities: list(object({ name: text, priority: uint32 }, ['name', 'priority'])),
  }),
  rdma: mapOf(object({ hcaHandles: uint32, hcaObjects: uint32 })),
  unified: mapOf(text),
});
