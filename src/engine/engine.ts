import type { Readable } from 'node:stream';
import type { FileType } from '#linux/index.ts';
import type { ChangePorts, Endpoint, PortRequest } from '#network/index.ts';
import type { Healthcheck, ImageConfig, Platform } from '#oci/index.ts';
import type { TaskIo, TaskStats } from '#runtime/index.ts';

/** Limits on what a container takes of the host; all but devices, ulimits and init can change while it runs. */
export interface ResourceOptions {
  /** -1 of an update lifts the limit. */
  readonly memoryBytes?: number;
  /** Memory and swap together; -1: no limit on swap. */
  readonly memorySwapBytes?: number;
  readonly memoryReservationBytes?: number;
  readonly kernelMemoryTcpBytes?: number;
  /** 0…100. */
  readonly memorySwappiness?: number;
  readonly oomKillDisable?: boolean;
  readonly nanoCpus?: number;
  readonly cpuShares?: number;
  /** Microseconds, as the next three. */
  readonly cpuQuota?: number;
  readonly cpuPeriod?: number;
  readonly cpuRealtimeRuntime?: number;
  readonly cpuRealtimePeriod?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  /** -1: no limit. */
  readonly pidsLimit?: number;
  /** 10…1000. */
  readonly blockIoWeight?: number;
  readonly blockIoWeightDevices?: readonly { readonly path: string; readonly weight: number }[];
  readonly blockIoReadBps?: readonly DeviceRate[];
  readonly blockIoWriteBps?: readonly DeviceRate[];
  readonly blockIoReadIops?: readonly DeviceRate[];
  readonly blockIoWriteIops?: readonly DeviceRate[];
}

/** Bytes or operations a second on a block device of the host. */
export interface DeviceRate {
  readonly path: string;
  readonly rate: number;
}

/** A device node of the host, or all those below a directory, in the container. */
export interface DeviceRequest {
  readonly hostPath: string;
  readonly containerPath: string;
  /** Of `r`, `w` and `m` (make a node). */
  readonly permissions: string;
}

/**
 * Whose namespace: the host's, one of its own (`private`; `shareable` lets others join an ipc namespace, `none` has no
 * /dev/shm either), or another container's (`container:NAME`).
 */
export interface NamespaceModes {
  readonly pidMode?: string; // absent: private | host | container:
  readonly ipcMode?: string; // absent: private | none | private | shareable | host | container:
  readonly utsMode?: string; // absent: private | host
  readonly cgroupMode?: string; // absent: private | private | host
  readonly userMode?: string; // absent: host | host | auto[:size=N]
}

/** A user namespace's ids 0 to size-1, and which of the host's they begin at. */
export interface UserRange {
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
}

/** What a person asks of a container; domain words, no Docker wire names. Absent means: the image or the engine decides. */
export interface ContainerOptions extends ResourceOptions, NamespaceModes {
  readonly name?: string;
  readonly image: string;
  /** What the image must be for; absent: whatever it is for, with a warning where it is not this host's. */
  readonly platform?: Platform;
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[]; // empty array: cleared
  readonly env?: readonly string[]; // NAME=value, or NAME to remove
  readonly workingDir?: string;
  readonly user?: string;
  readonly hostname?: string;
  readonly domainname?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly terminal?: boolean;
  readonly openStdin?: boolean;
  readonly stdinOnce?: boolean;
  readonly autoRemove?: boolean;
  readonly readOnlyRootfs?: boolean;
  readonly init?: boolean;
  /** It was asked for by this word of Docker's; the network mode is `none` then. */
  readonly networkDisabled?: boolean;
  readonly networkMode?: string; // bridge (default) | none | host | container:NAME | network name
  /** What is asked of each network, by its name; more than that of the mode are joined too. */
  readonly networks?: Readonly<Record<string, NetworkRequest>>;
  readonly macAddress?: string;
  /** `container:alias` */
  readonly links?: readonly string[];
  readonly ports?: readonly PortRequest[];
  readonly exposedPorts?: readonly string[]; // 8080/tcp
  readonly publishAll?: boolean;
  readonly mounts?: readonly MountRequest[];
  /** Paths that get a volume of their own, as an image's VOLUMEs do: where nothing else is mounted. */
  readonly anonymousVolumes?: readonly string[];
  readonly tmpfs?: Readonly<Record<string, string>>;
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  readonly privileged?: boolean;
  readonly securityOptions?: readonly string[];
  /** Instead of the engine's; an empty list hides nothing. */
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly devices?: readonly DeviceRequest[];
  /** `c 42:* rwm`, added to the list of what is allowed. */
  readonly deviceCgroupRules?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  readonly shmSizeBytes?: number;
  readonly sysctls?: Readonly<Record<string, string>>;
  readonly extraHosts?: readonly string[];
  readonly dns?: readonly string[];
  readonly dnsSearch?: readonly string[];
  readonly dnsOptions?: readonly string[];
  /** `container[:ro]`: its mounts become this one's too. */
  readonly volumesFrom?: readonly string[];
  readonly groupAdd?: readonly string[];
  /** Of its processes; absent: the runtime's own. */
  readonly umask?: number;
  readonly stopSignal?: string;
  readonly stopTimeoutSeconds?: number;
  /** What runs a health check that is a line of a shell; absent: the image's, or /bin/sh. */
  readonly shell?: readonly string[];
  /** Instructions that an image made of the container has for builds upon it. */
  readonly onBuild?: readonly string[];
  readonly healthcheck?: Healthcheck;
  /** What is done when its health check has failed often enough; absent: nothing. */
  readonly onUnhealthy?: UnhealthyAction;
  readonly runtime?: string;
  readonly logging?: Logging;
  /** The cgroup that the container's is made in, below each hierarchy's root; absent: the engine's. */
  readonly cgroupParent?: string;
  readonly oomScoreAdj?: number;
  readonly restartPolicy?: RestartPolicy;
  readonly consoleSize?: { readonly rows: number; readonly columns: number };
}

/** How output is kept; options as a person writes them. An empty driver is the engine's default (logging/log-options.ts). */
export interface Logging {
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
}

/** What happens when the process ends by itself. `unless-stopped` differs from `always` only after a daemon restart. */
export interface RestartPolicy {
  readonly name: 'no' | 'always' | 'on-failure' | 'unless-stopped';
  /** Of `on-failure`; 0 is no limit. */
  readonly maximumRetryCount: number;
}

/** `restart` whatever the restart policy says; what `stop` stops stays so, as if a person had stopped it. */
export type UnhealthyAction = 'none' | 'restart' | 'stop';

export interface ContainerUpdate extends ResourceOptions {
  readonly restartPolicy?: RestartPolicy;
  readonly onUnhealthy?: UnhealthyAction;
  /** Of the published ports; of a running container at once. */
  readonly publish?: ChangePorts;
}

/** How a bind or volume is mounted. */
export interface MountDetails {
  /** `private`, `slave`, `shared`, with `r` for all that is below; absent: rprivate. */
  readonly propagation?: string;
  /** Of a bind: only the directory's own filesystem, nothing mounted below it. */
  readonly nonRecursive?: boolean;
  /** Read-only at the top; what is mounted below stays writable. */
  readonly writableBelow?: boolean;
  /** Of a volume: this directory of it, whatever links the volume has. */
  readonly subpath?: string;
  /** Of a bind: its owner on the host is this user and group in the container, and the other way round. */
  readonly ownerAs?: number;
}

export interface MountRequest extends MountDetails {
  readonly type: 'bind' | 'volume' | 'tmpfs' | 'image';
  readonly source?: string; // host path, name of a volume or image; absent: anonymous volume
  readonly target: string;
  readonly readOnly?: boolean;
  readonly noCopy?: boolean;
  /** `-v`: make a missing host path; `--mount` refuses it. */
  readonly createSource?: boolean;
  /** Of `-v`: its options as they were written, to be shown again. */
  readonly mode?: string;
  /** Of a volume that is made for it. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly volumeOptions?: Readonly<Record<string, string>>;
}

/** What a container asks of a network. */
export interface NetworkRequest {
  readonly aliases?: readonly string[];
  readonly links?: readonly string[];
  readonly address?: string;
  readonly address6?: string;
  readonly mac?: string;
}

/** A network that a container is in whenever it runs. */
export interface NetworkAttachment extends NetworkRequest {
  readonly networkId: string;
  readonly networkName: string;
}

export type ContainerState =
  | { readonly status: 'created' }
  /** It ended, and its restart policy will start it again. */
  | {
      readonly status: 'restarting';
      readonly exitCode: number;
      readonly startedAt?: string;
      readonly finishedAt: string;
      readonly oomKilled: boolean;
      readonly error?: string;
    }
  | { readonly status: 'running'; readonly pid: number; readonly startedAt: string }
  | { readonly status: 'paused'; readonly pid: number; readonly startedAt: string }
  | {
      readonly status: 'exited';
      readonly exitCode: number;
      readonly startedAt?: string;
      readonly finishedAt: string;
      readonly oomKilled: boolean;
      readonly error?: string;
    };

/** A mount with what is behind it. */
export interface ContainerMount extends MountDetails {
  readonly type: 'bind' | 'volume' | 'tmpfs' | 'image';
  /** Of a volume or image. */
  readonly name?: string;
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly noCopy?: boolean;
}

export interface Container {
  readonly id: string; // 64 hex
  readonly name: string; // without slash
  readonly created: string;
  readonly imageId: string;
  readonly imageName: string; // as asked
  readonly options: ContainerOptions;
  readonly state: ContainerState;
  readonly restartCount: number;
  /** A person stopped it: its restart policy rests until it is started again. */
  readonly stoppedByUser?: boolean;
  /** Known while it runs; not kept over a daemon restart. */
  readonly health?: Health;
  /** The image's config as it was when this was made: the image may be gone by the next start. */
  readonly imageConfig: ImageConfig;
  /** Resolved: what runs. */
  readonly resolved: {
    readonly path: string;
    readonly args: readonly string[];
    readonly env: readonly string[];
    readonly workingDir: string;
    readonly user: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly stopSignal: string;
    readonly entrypoint: readonly string[];
    readonly command: readonly string[];
    readonly exposedPorts: readonly string[];
    readonly volumes: readonly string[];
    readonly hostname: string;
  };
  readonly mounts: readonly ContainerMount[];
  readonly networks?: readonly NetworkAttachment[];
  /** While it runs. */
  readonly endpoints?: readonly Endpoint[];
  /** The ids of its user namespace, where it has one of its own. */
  readonly userRange?: UserRange;
  readonly logPath?: string;
  /** Paths of the runtime spec → the source each came from, e.g. `process.env[PATH]` → `image`. */
  readonly provenance: Readonly<Record<string, 'default' | 'image' | 'user' | 'engine'>>;
}

export interface Health {
  readonly status: 'starting' | 'healthy' | 'unhealthy';
  readonly failingStreak: number;
  /** The last five probes. */
  readonly log: readonly {
    readonly start: string;
    readonly end: string;
    readonly exitCode: number;
    readonly output: string;
  }[];
}

export interface Containers {
  create(options: ContainerOptions): Promise<{ container: Container; warnings: readonly string[] }>;
  /** By id, unique id prefix or name. @throws GantryError not-found `No such container: …` */
  get(nameOrId: string): Container;
  list(): readonly Container[];
  /** Idempotent on a running one (returns false). @throws as Task.start; the exit code is recorded */
  start(nameOrId: string, options?: { signal?: AbortSignal; trace?: boolean }): Promise<boolean>;
  stop(nameOrId: string, options?: { timeoutSeconds?: number; signal?: string }): Promise<boolean>;
  /** Changes limits, policies and published ports, of a running container at once. @throws GantryError invalid, conflict, not-found */
  update(nameOrId: string, change: ContainerUpdate): Promise<{ warnings: readonly string[] }>;
  restart(nameOrId: string, options?: { timeoutSeconds?: number; signal?: string }): Promise<void>;
  kill(nameOrId: string, signal?: string): Promise<void>;
  pause(nameOrId: string): Promise<void>;
  unpause(nameOrId: string): Promise<void>;
  rename(nameOrId: string, name: string): Promise<void>;
  remove(nameOrId: string, options?: { force?: boolean; volumes?: boolean }): Promise<void>;
  wait(
    nameOrId: string,
    condition: 'not-running' | 'next-exit' | 'removed',
    options?: { signal?: AbortSignal },
  ): Promise<{ exitCode: number; error?: string }>;
  /** Before start too: then the streams begin with the process. Half-close, several at once. */
  attach(nameOrId: string): Promise<TaskIo>;
  resize(nameOrId: string, size: { rows: number; columns: number }): Promise<void>;
  /** Puts a container into one more network, at once if it runs. @throws GantryError not-found, forbidden, invalid, conflict */
  connectNetwork(network: string, nameOrId: string, request: NetworkRequest): Promise<void>;
  disconnectNetwork(network: string, nameOrId: string): Promise<void>;
  /**
   * Resolves once the log is open: a removal that comes after takes nothing from who reads.
   * @throws GantryError not-found, unsupported (a driver that cannot be read)
   */
  logs(nameOrId: string, options: LogsOptions): Promise<AsyncIterable<LogRecord>>;
  top(nameOrId: string): Promise<readonly ProcessRow[]>;
  /** What it takes of the host now. @throws GantryError not-found, conflict (code `not-running`) */
  stats(nameOrId: string): Promise<ContainerStats>;
  changes(nameOrId: string): Promise<readonly { path: string; kind: 'modified' | 'added' | 'deleted' }[]>;
  export(nameOrId: string): Promise<Readable>;
  /** See archive.ts, also for the next two. A running container's volumes and memory filesystems are seen as it sees them. */
  statPath(nameOrId: string, path: string): Promise<PathStatus>;
  readArchive(nameOrId: string, path: string): Promise<{ readonly status: PathStatus; readonly tar: Readable }>;
  writeArchive(nameOrId: string, path: string, tar: AsyncIterable<Uint8Array>, options?: ArchiveOptions): Promise<void>;
  spans(nameOrId: string): readonly Span[];
  /** Publishes an event of a container. */
  tell(nameOrId: string, action: string, attributes?: Readonly<Record<string, string>>): void;

  createExec(nameOrId: string, options: ExecOptions): Promise<string>;
  getExec(id: string): Exec;
  /** Ids of the processes that were made in a container and have not ended. */
  execsOf(containerId: string): readonly string[];
  /**
   * Starts; the returned streams carry its output. Resolves once the process runs. `beforeStart` is called when all is
   * ready and the process does not run yet.
   */
  startExec(
    id: string,
    options?: { size?: { rows: number; columns: number }; beforeStart?: () => void },
  ): Promise<TaskIo>;
  resizeExec(id: string, size: { rows: number; columns: number }): Promise<void>;
  waitExec(id: string): Promise<number>;
}

/** One process of a container, as the host sees it (proc_pid_stat(5)). */
export interface ProcessRow {
  readonly pid: number;
  readonly ppid: number;
  /** Its uid. */
  readonly user: string;
  /** The file's name; `command` has the words too. */
  readonly name: string;
  readonly command: string;
  /** One letter: R, S, D, T, Z, … */
  readonly state: string;
  readonly nice: number;
  /** Processor time as hours:minutes:seconds. */
  readonly time: string;
  readonly residentBytes: number;
  readonly virtualBytes: number;
}

/** Counters since a container's start. */
export interface ContainerStats extends TaskStats {
  /** Of each network interface but the loopback, by name; none where the network is the host's. */
  readonly networks: Readonly<Record<string, NetworkCounters>>;
}

export interface NetworkCounters {
  readonly received: TrafficCounters;
  readonly sent: TrafficCounters;
}

interface TrafficCounters {
  readonly bytes: number;
  readonly packets: number;
  readonly errors: number;
  readonly dropped: number;
}

/** What a path inside a container is. */
export interface PathStatus {
  readonly name: string;
  readonly type: FileType;
  /** The low 12 bits: permissions, setuid, setgid, sticky. */
  readonly mode: number;
  /** Bytes. */
  readonly size: number;
  readonly mtime: { readonly seconds: number; readonly nanoseconds: number };
  /** Where a link leads in the end, as a path of the container; '' for what is no link. */
  readonly linkTarget: string;
}

export interface ArchiveOptions {
  /** All that is unpacked belongs to the container's user, where it has one; otherwise to whom the archive says. */
  readonly ownByUser?: boolean;
  /** A directory may be replaced by what is none, and the reverse. */
  readonly replaceKinds?: boolean;
  readonly signal?: AbortSignal;
}

export interface LogsOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow?: boolean;
  readonly since?: Date;
  readonly until?: Date;
  readonly tail?: number;
  readonly signal?: AbortSignal;
}

export interface LogRecord {
  readonly stream: 'stdout' | 'stderr';
  readonly time: string; // RFC 3339 with nanoseconds
  readonly text: Buffer;
  /** What log options add to each line. */
  readonly attributes?: Readonly<Record<string, string>>;
}

export interface ExecOptions {
  readonly command: readonly string[];
  readonly env?: readonly string[];
  readonly workingDir?: string;
  readonly user?: string;
  readonly terminal?: boolean;
  readonly attachStdin?: boolean;
  readonly attachStdout?: boolean;
  readonly attachStderr?: boolean;
  /** What a person types to leave it, e.g. `ctrl-a,d`; for who joins it with a client. */
  readonly detachKeys?: string;
  readonly privileged?: boolean;
  /** Of its terminal at the start. */
  readonly consoleSize?: { readonly rows: number; readonly columns: number };
}

export interface Exec {
  readonly id: string;
  readonly containerId: string;
  readonly options: ExecOptions;
  readonly running: boolean;
  readonly exitCode?: number;
  readonly pid?: number;
}

/** One step of a start: what `--trace` prints. Milliseconds since the start of the request. */
export interface Span {
  readonly name: string;
  readonly startMs: number;
  readonly durationMs: number;
  readonly made: readonly string[];
}

export interface EngineEvent {
  readonly type: 'builder' | 'container' | 'image' | 'network' | 'volume';
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly time: Date;
}

export interface Events {
  publish(event: Omit<EngineEvent, 'time'>): void;
  subscribe(options?: { since?: Date; signal?: AbortSignal }): AsyncIterable<EngineEvent>;
}
