/**
 * Control groups on whatever the host has: v1 controllers, v1 with an empty v2 beside them (hybrid), or plain v2.
 * `path` is always relative to each hierarchy's root, e.g. `/gantry-gantry0/<id>`, below the daemon's own cgroup where it
 * is not the root of its hierarchy.
 */
export interface Cgroups {
  readonly layout: 'v1' | 'hybrid' | 'v2';
  /** Hierarchies as mounted on the host: where, and with which controllers (v1: comma list as in the mount; v2: 'unified'). */
  readonly hierarchies: readonly {
    readonly mountpoint: string;
    readonly controllers: string;
    readonly version: 1 | 2;
  }[];
  /** Makes the cgroup in every hierarchy and writes its limits. Everything made is undone when it throws. @throws SyscallError, GantryError invalid | unsupported naming the field */
  create(path: string, resources: CgroupResources, options?: CgroupPlacement): Cgroup;
  /** The directories that `create` would make. @throws GantryError invalid */
  placeOf(path: string, options?: CgroupPlacement): readonly string[];
  /** One that exists already, in the hierarchies where it does; nothing is made. */
  open(path: string): Cgroup;
  /** The one of these directories, as {@link Cgroup.directories} gave them: wherever it was made from, it is found. */
  at(directories: readonly string[]): Cgroup;
  /**
   * The one that a process is in, whoever made it (an OCI runtime may put it elsewhere). It leaves out hierarchies where
   * the process is in the root or where we are ourselves. @throws GantryError not-found code `no-cgroup`
   */
  ofProcess(pid: number): Cgroup;
}

export interface CgroupPlacement {
  /** `own`: below our own cgroup (the default); `root`: below each hierarchy's root, as an OCI `cgroupsPath` means it. */
  readonly below?: 'own' | 'root';
}

export interface Cgroup {
  readonly path: string;
  /** Directories of this cgroup, one for each hierarchy; a process joins by writing its pid to each `cgroup.procs`. */
  readonly directories: readonly string[];
  /** Changes limits of a living cgroup. */
  update(resources: CgroupResources): void;
  pids(): readonly number[];
  /** SIGKILL to every process in it, until none is left (v2: cgroup.kill); another `signal` is sent once to each. */
  kill(signal?: number): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  isFrozen(): boolean;
  stats(): CgroupStats;
  /** How often the kernel's OOM killer struck in it. */
  oomKills(): number;
  /** Removes it; waits for dying processes a bounded time. Idempotent. */
  remove(): Promise<void>;
}

export interface CgroupStats {
  readonly cpuNanoseconds: number;
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number | undefined;
  readonly pids: number;
  readonly pidsLimit: number | undefined;
}

/** A whole number that may be beyond 2^53 (v1's "no limit" is near 2^63). */
export type WholeNumber = number | bigint;

interface ThrottleDevice {
  readonly major: number;
  readonly minor: number;
  readonly rate: WholeNumber;
}

/**
 * Limits, in the words and units of the OCI runtime specification (config-linux.md#control-groups), which fits this shape.
 */
export interface CgroupResources {
  readonly devices?: readonly {
    readonly allow: boolean;
    readonly type?: string;
    readonly major?: number;
    readonly minor?: number;
    readonly access?: string;
  }[];
  readonly memory?: {
    readonly limit?: WholeNumber;
    readonly reservation?: WholeNumber;
    readonly swap?: WholeNumber;
    readonly kernel?: WholeNumber;
    readonly kernelTCP?: WholeNumber;
    readonly swappiness?: number;
    readonly disableOOMKiller?: boolean;
    readonly useHierarchy?: boolean;
    readonly checkBeforeUpdate?: boolean;
  };
  readonly cpu?: {
    readonly shares?: number;
    readonly quota?: number;
    readonly burst?: number;
    readonly period?: number;
    readonly realtimeRuntime?: number;
    readonly realtimePeriod?: number;
    readonly cpus?: string;
    readonly mems?: string;
    readonly idle?: number;
  };
  readonly pids?: { readonly limit: number };
  readonly blockIO?: {
    readonly weight?: number;
    readonly leafWeight?: number;
    readonly weightDevice?: readonly {
      readonly major: number;
      readonly minor: number;
      readonly weight?: number;
      readonly leafWeight?: number;
    }[];
    readonly throttleReadBpsDevice?: readonly ThrottleDevice[];
    readonly throttleWriteBpsDevice?: readonly ThrottleDevice[];
    readonly throttleReadIOPSDevice?: readonly ThrottleDevice[];
    readonly throttleWriteIOPSDevice?: readonly ThrottleDevice[];
  };
  readonly hugepageLimits?: readonly { readonly pageSize: string; readonly limit: WholeNumber }[];
  readonly network?: {
    readonly classID?: number;
    readonly priorities?: readonly { readonly name: string; readonly priority: number }[];
  };
  readonly rdma?: Readonly<Record<string, { readonly hcaHandles?: number; readonly hcaObjects?: number }>>;
  readonly unified?: Readonly<Record<string, string>>;
}
