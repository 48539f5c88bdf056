import { descriptor, healthConfig } from './image.ts';
import { endpointBody, endpointSettings } from './network.ts';
import {
  anything,
  body,
  choice,
  either,
  flag,
  integer,
  list,
  map,
  named,
  number,
  object,
  optional,
  orNull,
  shown,
  text,
} from './schema.ts';

export const throttle = named('ThrottleDevice', body({ Path: text(), Rate: integer('Bytes or operations a second') }));

const limits = {
  Memory: integer('Bytes'),
  MemorySwap: integer('Bytes, memory and swap together; -1: no limit'),
  MemoryReservation: integer('Bytes'),
  MemorySwappiness: integer('0 to 100; -1: not asked'),
  OomKillDisable: flag(),
  NanoCpus: integer('Billionths of a processor'),
  CpuShares: integer(),
  CpuQuota: integer('Microseconds in each period'),
  CpuPeriod: integer('Microseconds'),
  CpuRealtimePeriod: integer('Microseconds'),
  CpuRealtimeRuntime: integer('Microseconds'),
  CpusetCpus: text('0-2,4'),
  CpusetMems: text(),
  KernelMemoryTCP: integer('Bytes; of versions before 1.52'),
  PidsLimit: integer('-1: no limit'),
  BlkioWeight: integer('10 to 1000'),
  BlkioWeightDevice: list(body({ Path: text(), Weight: integer() })),
  BlkioDeviceReadBps: list(throttle),
  BlkioDeviceWriteBps: list(throttle),
  BlkioDeviceReadIOps: list(throttle),
  BlkioDeviceWriteIOps: list(throttle),
};

const restartPolicy = named(
  'RestartPolicy',
  body({ Name: text('no, always, unless-stopped or on-failure'), MaximumRetryCount: integer() }),
);

const unhealthy = text('Gantry’s own: restart, stop or none');

const portMap = named('PortMap', map(orNull(list(body({ HostIp: text(), HostPort: text() })))));

export const mountBody = named(
  'Mount',
  body({
    Type: text('bind, volume, tmpfs or image'),
    Source: text(),
    Target: text(),
    ReadOnly: flag(),
    Consistency: text(),
    BindOptions: body({
      Propagation: text(),
      NonRecursive: flag(),
      CreateMountpoint: flag(),
      ReadOnlyNonRecursive: flag(),
      ReadOnlyForceRecursive: flag(),
      OwnerAs: integer('Gantry’s own: who the owner of the directory is in the container'),
    }),
    VolumeOptions: body({
      NoCopy: flag(),
      Labels: map(text()),
      DriverConfig: body({ Name: text(), Options: map(text()) }),
      Subpath: text(),
    }),
    TmpfsOptions: body({ SizeBytes: integer(), Mode: integer(), Options: list(list(text())) }),
    ImageOptions: body({ Subpath: text() }),
  }),
);

const host = {
  ...limits,
  Binds: list(text('source:target[:options]')),
  ContainerIDFile: text('Where the client keeps the id'),
  LogConfig: body({ Type: text(), Config: map(text()) }),
  NetworkMode: text(),
  PortBindings: portMap,
  RestartPolicy: restartPolicy,
  HealthOnUnhealthy: unhealthy,
  AutoRemove: flag(),
  VolumeDriver: text(),
  VolumesFrom: list(text()),
  Mounts: list(mountBody),
  ConsoleSize: list(integer()),
  Annotations: map(text()),
  CapAdd: list(text()),
  CapDrop: list(text()),
  Cgroup: text(),
  CgroupParent: text(),
  CgroupnsMode: text(),
  CpuCount: integer('Of Windows'),
  CpuPercent: integer('Of Windows'),
  IOMaximumIOps: integer('Of Windows'),
  IOMaximumBandwidth: integer('Of Windows'),
  Devices: list(body({ PathOnHost: text(), PathInContainer: text(), CgroupPermissions: text() })),
  DeviceCgroupRules: list(text()),
  DeviceRequests: list(
    body({
      Driver: text(),
      Count: integer(),
      DeviceIDs: list(text()),
      Capabilities: list(list(text())),
      Options: map(text()),
    }),
  ),
  Dns: list(text()),
  DnsOptions: list(text()),
  DnsSearch: list(text()),
  ExtraHosts: list(text()),
  GroupAdd: list(text()),
  Init: flag(),
  IpcMode: text(),
  Isolation: text(),
  KernelMemory: integer('Of versions before 1.42'),
  Links: list(text()),
  MaskedPaths: list(text()),
  ReadonlyPaths: list(text()),
  OomScoreAdj: integer(),
  PidMode: text(),
  Privileged: flag(),
  PublishAllPorts: flag(),
  ReadonlyRootfs: flag(),
  Runtime: text(),
  SecurityOpt: list(text()),
  ShmSize: integer('Bytes'),
  StorageOpt: map(text()),
  Sysctls: map(text()),
  Tmpfs: map(text()),
  UTSMode: text(),
  Ulimits: list(body({ Name: text(), Soft: integer(), Hard: integer() })),
  Umask: text('Octal'),
  UsernsMode: text(),
};
export const hostConfig = body(host);

const words = either(list(text()), text());

const config = {
  Hostname: text(),
  Domainname: text(),
  User: text(),
  AttachStdin: flag(),
  AttachStdout: flag(),
  AttachStderr: flag(),
  ExposedPorts: map(anything()),
  Tty: flag(),
  OpenStdin: flag(),
  StdinOnce: flag(),
  Env: list(text()),
  Cmd: words,
  Healthcheck: healthConfig,
  ArgsEscaped: flag(),
  Image: text(),
  Volumes: map(anything()),
  WorkingDir: text(),
  Entrypoint: words,
  NetworkDisabled: flag(),
  MacAddress: text(),
  OnBuild: list(text()),
  Labels: map(text()),
  StopSignal: text(),
  StopTimeout: integer('Seconds'),
  Shell: list(text()),
};

export const containerConfig = body(config);

export const createBody = body({
  ...config,
  name: text('Dockerode repeats the query here'),
  platform: text('Dockerode repeats the query here'),
  HostConfig: hostConfig,
  NetworkingConfig: body({ EndpointsConfig: map(orNull(endpointBody)) }),
});

export const updateBody = body({
  ...limits,
  RestartPolicy: restartPolicy,
  HealthOnUnhealthy: unhealthy,
  PublishAdd: portMap,
  PublishRemove: portMap,
});

export const containerCreated = named('ContainerCreateResponse', object({ Id: text(), Warnings: list(text()) }));
export const containerUpdated = named('ContainerUpdateResponse', object({ Warnings: list(text()) }));
export const idResponse = named('IDResponse', object({ Id: text() }));

const mountPoint = named(
  'MountPoint',
  object({
    Type: text(),
    Name: optional(text()),
    Source: text(),
    Destination: text(),
    Driver: optional(text()),
    Mode: text(),
    RW: flag(),
    Propagation: text(),
  }),
);

const status = choice(['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead']);
const healthStatus = choice(['none', 'starting', 'healthy', 'unhealthy']);

export const containerSummary = named(
  'ContainerSummary',
  object({
    Id: text(),
    Names: list(text()),
    Image: text(),
    ImageID: text(),
    ImageManifestDescriptor: optional(descriptor),
    Command: text(),
    Created: integer('Seconds since 1970'),
    Ports: list(
      named(
        'PortSummary',
        object({
          IP: optional(text()),
          PrivatePort: integer(),
          PublicPort: optional(integer()),
          Type: choice(['tcp', 'udp', 'sctp']),
        }),
      ),
    ),
    SizeRw: optional(integer('Bytes')),
    SizeRootFs: optional(integer('Bytes')),
    Labels: map(text()),
    State: status,
    Status: text(),
    Health: optional(object({ Status: healthStatus, FailingStreak: integer() })),
    HostConfig: object({ NetworkMode: text(), Annotations: optional(map(text())) }),
    NetworkSettings: object({ Networks: map(endpointSettings) }),
    Mounts: list(mountPoint),
  }),
);

export const containerInspect = named(
  'ContainerInspectResponse',
  object({
    Id: text(),
    Created: text(),
    Path: text(),
    Args: list(text()),
    State: named(
      'ContainerState',
      object({
        Status: status,
        Running: flag(),
        Paused: flag(),
        Restarting: flag(),
        OOMKilled: flag(),
        Dead: flag(),
        Pid: integer(),
        ExitCode: integer(),
        Error: text(),
        StartedAt: text(),
        FinishedAt: text(),
        Health: optional(
          object({
            Status: healthStatus,
            FailingStreak: integer(),
            Log: list(object({ Start: text(), End: text(), ExitCode: integer(), Output: text() })),
          }),
        ),
      }),
    ),
    Image: text(),
    ImageManifestDescriptor: optional(descriptor),
    ResolvConfPath: text(),
    HostnamePath: text(),
    HostsPath: text(),
    LogPath: text(),
    Name: text(),
    RestartCount: integer(),
    Driver: text(),
    Platform: text(),
    MountLabel: text(),
    ProcessLabel: text(),
    AppArmorProfile: text(),
    ExecIDs: orNull(list(text())),
    HostConfig: named('HostConfig', shown(host)),
    GraphDriver: object({ Name: text(), Data: map(text()) }),
    SizeRw: optional(integer('Bytes')),
    SizeRootFs: optional(integer('Bytes')),
    Mounts: list(mountPoint),
    Config: named('ContainerConfig', shown(config)),
    NetworkSettings: object({
      SandboxID: text(),
      SandboxKey: text(),
      Ports: portMap,
      Networks: map(endpointSettings),
    }),
    Gantry: optional(object({ Provenance: map(text()) }, 'Of each field of the runtime spec where it came from')),
  }),
);

export const topResponse = named(
  'ContainerTopResponse',
  object({ Titles: list(text()), Processes: list(list(text())) }),
);

export const fileChange = named(
  'FilesystemChange',
  object({ Path: text(), Kind: integer('0 modified, 1 added, 2 deleted') }),
);

export const waitResponse = named(
  'ContainerWaitResponse',
  object({ StatusCode: integer(), Error: optional(object({ Message: text() })) }),
);

const blockCounts = orNull(list(object({ major: integer(), minor: integer(), op: text(), value: integer() })));

const cpuStats = named(
  'ContainerCPUStats',
  object({
    cpu_usage: object({
      total_usage: number('Nanoseconds, as the next three'),
      percpu_usage: optional(list(number())),
      usage_in_kernelmode: number(),
      usage_in_usermode: number(),
    }),
    system_cpu_usage: optional(number('Nanoseconds of all processors together')),
    online_cpus: optional(integer()),
    throttling_data: object({ periods: integer(), throttled_periods: integer(), throttled_time: number() }),
  }),
);

export const statsResponse = named(
  'ContainerStatsResponse',
  object({
    id: text(),
    name: text(),
    os_type: text(),
    read: text(),
    preread: text(),
    num_procs: integer('Of Windows'),
    pids_stats: object({ current: optional(integer()), limit: optional(number()) }),
    blkio_stats: object({
      io_service_bytes_recursive: optional(blockCounts),
      io_serviced_recursive: optional(blockCounts),
      io_queue_recursive: optional(blockCounts),
      io_service_time_recursive: optional(blockCounts),
      io_wait_time_recursive: optional(blockCounts),
      io_merged_recursive: optional(blockCounts),
      io_time_recursive: optional(blockCounts),
      sectors_recursive: optional(blockCounts),
    }),
    memory_stats: object({
      usage: optional(integer('Bytes')),
      max_usage: optional(integer('Bytes')),
      stats: optional(map(number())),
      failcnt: optional(integer()),
      limit: optional(number('Bytes')),
    }),
    storage_stats: object({}),
    cpu_stats: cpuStats,
    precpu_stats: cpuStats,
    networks: optional(
      map(
        object({
          rx_bytes: integer(),
          rx_packets: integer(),
          rx_errors: integer(),
          rx_dropped: integer(),
          tx_bytes: integer(),
          tx_packets: integer(),
          tx_errors: integer(),
          tx_dropped: integer(),
        }),
      ),
    ),
  }),
);

export const execBody = body({
  AttachStdin: flag(),
  AttachStdout: flag(),
  AttachStderr: flag(),
  ConsoleSize: list(integer()),
  DetachKeys: text(),
  Tty: flag(),
  Env: list(text()),
  Cmd: list(text()),
  Privileged: flag(),
  User: text(),
  WorkingDir: text(),
});

export const execStartBody = body({ Detach: flag(), Tty: flag(), ConsoleSize: list(integer()) });

export const execInspect = object({
  ID: text(),
  ContainerID: text(),
  Running: flag(),
  ExitCode: orNull(integer()),
  Pid: integer(),
  OpenStdin: flag(),
  OpenStdout: flag(),
  OpenStderr: flag(),
  CanRemove: flag(),
  DetachKeys: text(),
  ProcessConfig: object({
    tty: flag(),
    entrypoint: text(),
    arguments: list(text()),
    privileged: flag(),
    user: optional(text()),
  }),
});
