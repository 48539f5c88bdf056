import { mkdirSync, rmSync } from 'node:fs';
import { GantryError, throwIfAborted } from '#errors/index.ts';
import { type Cgroup, type Cgroups, openCgroups } from '#linux/index.ts';
import type { RuntimeSpec } from '#oci/index.ts';
import { cgroupPlace } from './cgroup-place.ts';
import { compileContainer, compileExec, execTargetOf, type PlanHost } from './compile-plan.ts';
import type { ContainerRuntime, CreateTask, ExecTask, Task } from './container-runtime.ts';
import { type Subject, stateOf } from './hook-steps.ts';
import type { CgroupDirectory } from './namespace-steps.ts';
import { moveNetDevices } from './net-devices.ts';
import type { PlanStep } from './plan.ts';
import { cgroupDirectories, planHost } from './plan-host.ts';
import { runPoststartHooks, runPoststopHooks } from './run-hooks.ts';
import { seccompFilterOf } from './seccomp-filter.ts';
import { connectShim, type ShimConnection } from './shim-connection.ts';
import { createShimSpawner, parseShimProcess, type ShimProcess, shimSteps } from './shim-spawner.ts';
import { createShimTask } from './shim-task.ts';
import { readTaskRecord, removeTaskFiles, type TaskRecord, writeTaskRecord } from './task-record.ts';

export interface LauncherRuntimeOptions {
  /** build/gantry-shim */
  readonly shimPath: string;
  /** build/gantry-init */
  readonly initPath: string;
}

/** The file that counts a cgroup's OOM kills; undefined where no memory controller is. */
export function oomEventsFile(directories: readonly CgroupDirectory[], cgroups: Cgroups): string | undefined {
  const memory = cgroups.hierarchies.find(({ controllers }) => controllers.split(',').includes('memory'));
  const find = (mountpoint: string) => directories.find(({ path }) => path.startsWith(`${mountpoint}/`))?.path;
  if (memory !== undefined) return `${find(memory.mountpoint)}/memory.oom_control`;
  const unified = cgroups.hierarchies.find(({ version }) => version === 2);
  return cgroups.layout === 'v2' && unified !== undefined ? `${find(unified.mountpoint)}/memory.events` : undefined;
}

/**
 * Our own runtime: the specification becomes a plan, the shim carries it out (plan.ts, shim-protocol.ts). Nothing is mounted
 * in the host's namespace.
 */
export function createLauncherRuntime(options: LauncherRuntimeOptions): ContainerRuntime {
  const spawner = createShimSpawner(options.shimPath);
  let opened: Cgroups | undefined;
  const cgroups = () => {
    opened ??= openCgroups();
    return opened;
  };
  let known: PlanHost | undefined;
  const host = () => {
    known ??= planHost(cgroups());
    return known;
  };

  async function create(request: CreateTask, { signal }: { signal?: AbortSignal } = {}): Promise<Task> {
    throwIfAborted(signal);
    const { id, directory, spec } = request;
    if (spec.linux?.intelRdt !== undefined)
      throw new GantryError('unsupported', 'linux.intelRdt: only gantry-runtime makes cache and bandwidth groups');
    const subject: Subject = { id, bundle: directory };
    const place = cgroupPlace(spec, id, false);
    const record: TaskRecord = {
      id,
      cgroupsPath: place.path,
      ...execTargetOf(spec),
      seccomp: seccompFilterOf(spec, subject),
      ...hookedOf(spec, subject),
    };
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    let cgroup: Cgroup | undefined;
    try {
      writeTaskRecord(directory, record);
      cgroup = cgroups().create(place.path, spec.linux?.resources ?? {}, place);
      const steps = containerSteps(request, cgroup, record);
      const { connection, process } = await spawner.spawn(steps);
      try {
        moveNetDevices(spec.linux?.netDevices, process.pid);
      } catch (error) {
        connection.close(); // nobody is left who could start it: the shim ends the process
        throw error;
      }
      const task = taskOf(record, directory, connection, process, cgroup, steps);
      if (!signal?.aborted) return task;
      connection.close(); // nobody is left who could start it: the shim ends the process
      return throwIfAborted(signal) as never;
    } catch (error) {
      await cgroup?.kill();
      await cgroup?.remove();
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  function containerSteps(request: CreateTask, cgroup: Cgroup, record: TaskRecord): readonly PlanStep[] {
    const directories = cgroupDirectories(cgroup, cgroups());
    const oomEvents = oomEventsFile(directories, cgroups());
    return [
      ...shimSteps({
        directory: request.directory,
        stdio: request.stdio,
        kind: 'container',
        syncExit: !request.volatile,
        ...(oomEvents === undefined ? {} : { oomEvents }),
      }),
      ...compileContainer({
        spec: withConsole(request),
        rootfs: request.rootfs,
        cgroup: directories,
        seccomp: record.seccomp,
        subject: { id: request.id, bundle: request.directory },
        host: host(),
        ...(request.init ? { init: options.initPath } : {}),
      }),
    ];
  }

  function taskOf(
    record: TaskRecord,
    directory: string,
    connection: ShimConnection,
    process: ShimProcess,
    cgroup: Cgroup,
    steps: readonly PlanStep[] = [],
  ): Task {
    const { hooked } = record;
    return createShimTask({
      id: record.id,
      directory,
      connection,
      process,
      steps,
      cgroup,
      exec: (request) => exec(record, process, cgroup, request),
      ...(hooked === undefined
        ? {}
        : { started: (pid) => runPoststartHooks(hooked, stateOf(hooked, hooked.subject, 'running', pid)) }),
      async remove() {
        if (cgroup.pids().length > 0) await cgroup.kill();
        await cgroup.remove();
        removeTaskFiles(directory);
        if (hooked !== undefined) await runPoststopHooks(hooked, stateOf(hooked, hooked.subject, 'stopped', 0));
      },
    });
  }

  async function exec(record: TaskRecord, target: ShimProcess, cgroup: Cgroup, request: ExecTask): Promise<Task> {
    const { stdio, directory } = request;
    const steps = [
      ...shimSteps({ directory, stdio, kind: 'exec' }),
      ...compileExec({
        process: processWithConsole(request.process, stdio),
        seccomp: record.seccomp,
        target: { ...record, pid: target.pid, startTime: target.startTime },
        cgroup: cgroupDirectories(cgroup, cgroups()),
        host: host(),
      }),
    ];
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    try {
      return createShimTask({
        id: request.id,
        directory,
        ...(await spawner.spawn(steps, request)),
        steps,
        cgroup,
        exec: (further) => exec(record, target, cgroup, further),
        remove: async () => removeTaskFiles(directory),
      });
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  return {
    name: 'gantry',
    create,
    async load(id, directory) {
      const record = readTaskRecord(directory);
      if (record === undefined) return undefined;
      let connection: ShimConnection;
      let process: ShimProcess;
      try {
        connection = await connectShim(directory);
        process = parseShimProcess((await connection.request('state', 'created')).payload);
      } catch (error) {
        if (error instanceof GantryError && error.code === 'shim-gone') return undefined;
        throw error;
      }
      return taskOf({ ...record, id }, directory, connection, process, cgroups().open(record.cgroupsPath));
    },
    async cleanup(_id, directory) {
      const record = readTaskRecord(directory);
      if (record === undefined) return;
      const cgroup = cgroups().open(record.cgroupsPath);
      await cgroup.kill();
      await cgroup.remove();
      removeTaskFiles(directory);
    },
  };
}

/** What the hooks that run in our own namespaces need; nothing where there are none. */
function hookedOf({ ociVersion, hooks, annotations }: RuntimeSpec, subject: Subject): Pick<TaskRecord, 'hooked'> {
  const { poststart = [], poststop = [] } = hooks ?? {};
  if (poststart.length + poststop.length === 0) return {};
  return { hooked: { ociVersion, hooks: { poststart, poststop }, ...(annotations && { annotations }), subject } };
}

const processWithConsole = (process: ExecTask['process'], stdio: ExecTask['stdio']): ExecTask['process'] => ({
  ...process,
  terminal: stdio.terminal,
  ...(stdio.size === undefined ? {} : { consoleSize: { height: stdio.size.rows, width: stdio.size.columns } }),
});

const withConsole = ({ spec, stdio }: CreateTask): RuntimeSpec =>
  spec.process === undefined ? spec : { ...spec, process: processWithConsole(spec.process, stdio) };
