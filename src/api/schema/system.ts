import { anything, body, choice, flag, integer, list, map, named, object, optional, orNull, text } from './schema.ts';

export const systemVersion = named(
  'SystemVersion',
  object({
    Platform: optional(object({ Name: text() })),
    Components: optional(list(object({ Name: text(), Version: text(), Details: optional(map(text())) }))),
    Version: text(),
    ApiVersion: text('The newest that is spoken'),
    MinAPIVersion: text('The oldest that is spoken'),
    GitCommit: text(),
    GoVersion: text('What the engine runs on'),
    Os: text(),
    Arch: text(),
    KernelVersion: text(),
    BuildTime: text(),
  }),
);

const commit = named('Commit', object({ ID: text() }));

export const systemInfo = named(
  'SystemInfo',
  object({
    ID: text(),
    Containers: integer(),
    ContainersRunning: integer(),
    ContainersPaused: integer(),
    ContainersStopped: integer(),
    Images: integer(),
    Driver: text('The graph driver'),
    DriverStatus: list(list(text())),
    DockerRootDir: text('The data root'),
    Plugins: object({
      Volume: list(text()),
      Network: list(text()),
      Authorization: list(text()),
      Log: list(text()),
    }),
    MemoryLimit: flag(),
    SwapLimit: flag(),
    PidsLimit: flag(),
    CPUShares: flag(),
    CPUSet: flag(),
    CpuCfsPeriod: flag(),
    CpuCfsQuota: flag(),
    OomKillDisable: flag(),
    IPv4Forwarding: flag(),
    Debug: flag(),
    NFd: integer('Open file descriptors of the engine'),
    NGoroutines: integer('Always 0: there are none'),
    NEventsListener: integer(),
    SystemTime: text(),
    LoggingDriver: text(),
    CgroupDriver: text(),
    CgroupVersion: choice(['1', '2']),
    KernelVersion: text(),
    OperatingSystem: text(),
    OSVersion: text(),
    OSType: text(),
    Architecture: text(),
    NCPU: integer(),
    MemTotal: integer('Bytes'),
    IndexServerAddress: text(),
    RegistryConfig: object({
      InsecureRegistryCIDRs: list(text()),
      IndexConfigs: map(object({ Name: text(), Mirrors: list(text()), Secure: flag(), Official: flag() })),
      Mirrors: list(text()),
    }),
    GenericResources: list(anything()),
    HttpProxy: text(),
    HttpsProxy: text(),
    NoProxy: text(),
    Name: text('The host'),
    Labels: list(text()),
    ExperimentalBuild: flag(),
    ServerVersion: text(),
    Runtimes: map(object({ path: text(), status: optional(map(text())) })),
    DefaultRuntime: text(),
    Swarm: object({
      NodeID: text(),
      NodeAddr: text(),
      LocalNodeState: text(),
      ControlAvailable: flag(),
      Error: text(),
      RemoteManagers: orNull(list(object({ NodeID: text(), Addr: text() }))),
    }),
    LiveRestoreEnabled: flag('Containers outlive the engine'),
    Isolation: text(),
    InitBinary: text(),
    ContainerdCommit: commit,
    RuncCommit: commit,
    InitCommit: commit,
    SecurityOptions: list(text()),
    DefaultAddressPools: optional(list(object({ Base: text(), Size: integer() }))),
    FirewallBackend: object({ Driver: text(), Info: optional(list(list(text()))) }),
    DiscoveredDevices: list(object({ Source: text(), ID: text() })),
    CDISpecDirs: list(text()),
    Warnings: list(text()),
  }),
);

export const eventMessage = named(
  'EventMessage',
  object({
    Type: choice(['builder', 'container', 'image', 'network', 'volume', 'daemon']),
    Action: text(),
    Actor: named('EventActor', object({ ID: text(), Attributes: map(text()) })),
    scope: choice(['local']),
    time: integer('Seconds since 1970'),
    timeNano: integer('Nanoseconds since 1970'),
  }),
);

export const authConfig = named(
  'AuthConfig',
  body({
    username: text(),
    password: text(),
    email: text(),
    serveraddress: text('The registry; absent: docker.io'),
    identitytoken: text(),
  }),
);

export const authResponse = named(
  'AuthResponse',
  object({ Status: text(), IdentityToken: text('In place of the password from now on; may be empty') }),
);

const diskUsage = (items: ReturnType<typeof anything>) =>
  object({
    ActiveCount: integer(),
    TotalCount: integer(),
    Reclaimable: integer('Bytes'),
    TotalSize: integer('Bytes'),
    Items: optional(list(items)),
  });

export const buildCacheRecord = named(
  'BuildCache',
  object({
    ID: text(),
    Parents: orNull(list(text())),
    Type: text(),
    Description: text(),
    InUse: flag(),
    Shared: flag(),
    Size: integer(),
    CreatedAt: text(),
    LastUsedAt: orNull(text()),
    UsageCount: integer(),
  }),
);

/** `Items` of each are there when it is asked verbosely. */
export const systemUsage = (items: {
  image: Parameters<typeof diskUsage>[0];
  container: Parameters<typeof diskUsage>[0];
  volume: Parameters<typeof diskUsage>[0];
}) =>
  object({
    ImageUsage: optional(diskUsage(items.image)),
    ContainerUsage: optional(diskUsage(items.container)),
    VolumeUsage: optional(diskUsage(items.volume)),
    BuildCacheUsage: optional(diskUsage(buildCacheRecord)),
    Gantry: optional(object({ EngineSize: integer('Bytes that are nobody’s') })),
  });
