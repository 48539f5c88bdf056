import type { Duplex } from 'node:stream';
import type { Mount, Process, Resources, RuntimeSpec } from '#oci/index.ts';
import type { CgroupReport } from './cgroup-report.ts';

/**
 * How the engine runs a container: through any OCI runtime, under our shim. `launcher-runtime.ts` is our own (plan +
 * launcher); `oci-cli-runtime.ts` drives runc, crun or any program with runc's command line.
 *
 * Lifecycle of a task: `create` (namespaces and cgroup exist, the process waits before exec) → `start` → exits → `delete`.
 * One shim per process. It outlives the daemon, owns stdio, writes the log and the exit status to `directory`:
 *   `<directory>/shim.sock`  control socket (frames, see shim-protocol.ts)
 *   `<directory>/exit.json`  {"code":n,"signal":n,"oom":bool,"at":"RFC3339"}, there (tmp+rename) before anyone is told, then synced
 *   unless the task is `volatile`
 */
export interface ContainerRuntime {
  readonly name: string;
  /** @throws GantryError invalid | unsupported (spec), unavailable (kernel); everything made is undone */
  create(request: CreateTask, options?: { signal?: AbortSignal }): Promise<Task>;
  /** Finds a task again after a daemon restart; undefined where its shim is gone (then read `exit`). */
  load(id: string, directory: string): Promise<Task | undefined>;
  /** Removes what a dead task left (cgroup, state). Idempotent. */
  cleanup(id: string, directory: string): Promise<void>;
}

export interface TaskStdio {
  readonly terminal: boolean;
  /** Whether stdin is open (`-i`); otherwise /dev/null. */
  readonly stdin: boolean;
  /** The process's stdin closes when the first attached client closes it (`StdinOnce`). */
  readonly stdinOnce?: boolean;
  readonly size?: { readonly rows: number; readonly columns: number };
  /** How long an attached client that takes nothing may hold the output up before it is dropped; default 5 minutes. */
  readonly stallMilliseconds?: number;
  /** json-file log that the shim itself writes and rotates; absent for none. */
  readonly log?: {
    readonly path: string;
    /** 0: it grows without end. */
    readonly maxBytes: number;
    readonly maxFiles: number;
    /** What each line carries besides, as `attrs`. */
    readonly attributes?: Readonly<Record<string, string>>;
  };
}

export interface CreateTask {
  readonly id: string;
  /** A directory of this task alone, on the exec root; made if missing. */
  readonly directory: string;
  readonly spec: RuntimeSpec;
  /** The root filesystem, mounted inside the container's own mount namespace; the host never sees it. */
  readonly rootfs: readonly Mount[];
  readonly stdio: TaskStdio;
  /** Run our init as PID 1. */
  readonly init: boolean;
  /** How it ended need not outlast the host. */
  readonly volatile?: boolean;
}

export interface ExecTask {
  readonly id: string;
  readonly directory: string;
  readonly process: Process;
  readonly stdio: TaskStdio;
  /**
   * It will be attached to and started at once. A runtime that can asks its shim for all of that with the create, so that
   * the process may run before `exec` resolves; `attach`, where it is called first, has all of its output in any case.
   */
  readonly atOnce?: boolean;
}

export interface ExitStatus {
  /** The exit code, or 128 + signal. */
  readonly code: number;
  readonly signal?: number;
  readonly oom: boolean;
  readonly at: Date;
}

export interface Task {
  readonly id: string;
  /** Of the container's first process, in the host's pid namespace. */
  readonly pid: number;
  /** It has exec'd and is not known to have ended. */
  readonly isRunning: boolean;
  /**
   * Lets the process exec. Resolves once it has.
   * @throws GantryError not-found code `command-not-found` (exit 127), forbidden code `command-not-executable` (126),
   *   other kinds (125). The task is then exited with that code.
   */
  start(options?: { signal?: AbortSignal }): Promise<void>;
  /** A new client of the process's stdio. Output from now on; several clients may be attached at once. */
  attach(): Promise<TaskIo>;
  resize(size: { rows: number; columns: number }): Promise<void>;
  /** To the first process, or to all in the cgroup. @throws GantryError conflict where it has exited */
  kill(signal: number, options?: { all?: boolean }): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Resolves when the process has exited and its output is drained. Same value for every caller. */
  wait(options?: { signal?: AbortSignal }): Promise<ExitStatus>;
  /** One more process in the same namespaces. It is created, not started; same contract as a task's. */
  exec(request: ExecTask, options?: { signal?: AbortSignal }): Promise<Task>;
  /** Pids in the container's cgroup. */
  pids(): Promise<readonly number[]>;
  /** Changes limits of the living cgroup; what is not given stays. @throws SyscallError, GantryError naming the field */
  update(resources: Resources): Promise<void>;
  /** Raw cgroup counters. */
  stats(): Promise<TaskStats>;
  /** Removes cgroup and state. @throws GantryError conflict while it runs */
  delete(): Promise<void>;
}

/** Streams of one attachment. With a terminal everything is `stdout`. */
export interface TaskIo extends AsyncDisposable {
  /** Write stdin here; `end()` is half-close. */
  readonly stdin: Duplex | import('node:stream').Writable;
  readonly output: AsyncIterable<{ readonly stream: 'stdout' | 'stderr'; readonly data: Buffer }>;
}

/** The counters of a task's cgroup. */
export type TaskStats = CgroupReport;
