import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { GantryError, isGantryError, throwIfAborted } from '#errors/index.ts';
import { type Cgroup, type Cgroups, openCgroups } from '#linux/index.ts';
import { exactJson } from '#oci/index.ts';
import type { ContainerRuntime, ExecTask, ExitStatus, Task, TaskStdio } from './container-runtime.ts';
import { bundleRootSteps, flatCgroupsPath, withTerminal, writeBundle } from './oci-bundle.ts';
import { errorFromLog, type OciProgram, ociCommand, runOci } from './oci-command.ts';
import type { PlanStep } from './plan.ts';
import { connectShim, type ShimConnection } from './shim-connection.ts';
import { createShimSpawner, parseShimProcess, type ShimProcess, shimSteps } from './shim-spawner.ts';
import { createShimTask, type ShimTaskParts } from './shim-task.ts';
import { readTaskRecord, removeTaskFiles, writeTaskRecord } from './task-record.ts';

export interface OciCliRuntimeOptions {
  readonly name: string;
  /** The program: runc, crun, or another with runc's command line. */
  readonly path: string;
  /** build/gantry-shim; gantry-init lies beside it. */
  readonly shimPath: string;
  /** Where the program keeps its state; of this engine alone. */
  readonly stateRoot: string;
}

const files = ['config.json', 'process.json', 'runtime.pid', 'runtime.log'] as const;

/**
 * Containers by another OCI runtime, under our shim in its command mode (shim-protocol.ts). The root filesystem is mounted
 * at `<directory>/rootfs` in a mount namespace that only the runtime's `create` sees, so the host never does.
 */
export function createOciCliRuntime(options: OciCliRuntimeOptions): ContainerRuntime {
  const spawner = createShimSpawner(options.shimPath);
  const initPath = `${dirname(options.shimPath)}/gantry-init`;
  const program: OciProgram = options;
  const logOf = (directory: string) => `${directory}/runtime.log`;
  let opened: Cgroups | undefined;
  const cgroups = () => {
    opened ??= openCgroups();
    return opened;
  };

  /** The way to the terminal: short, since a socket's path has room for 107 bytes only. */
  const consoleSocket = ({ terminal }: TaskStdio) =>
    terminal ? `${options.stateRoot}/.tty-${randomBytes(6).toString('hex')}` : '';
  const consoleWords = (socket: string) => (socket === '' ? [] : ['--console-socket', socket]);

  function commandStep(
    directory: string,
    socket: string,
    create: readonly string[],
    start: readonly string[],
  ): PlanStep {
    return { name: 'command', args: [create, start, `${directory}/runtime.pid`, socket] };
  }

  async function removeContainer(id: string, directory: string): Promise<void> {
    try {
      await runOci(program, logOf(directory), 'delete', '--force', id);
    } catch (error) {
      if (!isGantryError(error) || error.code !== 'not-running') throw error;
    }
  }

  function removeFiles(directory: string): void {
    for (const name of files) rmSync(`${directory}/${name}`, { force: true });
    rmSync(`${directory}/rootfs`, { recursive: true, force: true });
    removeTaskFiles(directory);
  }

  const create: ContainerRuntime['create'] = async (request, { signal } = {}) => {
    throwIfAborted(signal);
    const { id, directory, spec, stdio } = request;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    mkdirSync(options.stateRoot, { recursive: true, mode: 0o711 });
    const record = { id, cgroupsPath: flatCgroupsPath(spec, id), namespaces: 0, seccomp: undefined };
    let asked = false;
    try {
      writeTaskRecord(directory, record);
      writeBundle(request, options.name, initPath);
      const socket = consoleSocket(stdio);
      const words = [
        'create',
        '--bundle',
        directory,
        '--pid-file',
        `${directory}/runtime.pid`,
        ...consoleWords(socket),
        id,
      ];
      const steps = [
        ...shimSteps({ directory, stdio, kind: 'container', syncExit: !request.volatile }),
        commandStep(
          directory,
          socket,
          ociCommand(program, logOf(directory), ...words),
          ociCommand(program, logOf(directory), 'start', id),
        ),
        ...bundleRootSteps(request.rootfs, directory),
      ];
      asked = true;
      const { connection, process } = await spawner.spawn(steps);
      const task = taskOf(id, directory, connection, process, cgroups().open(record.cgroupsPath));
      if (!signal?.aborted) return task;
      connection.close();
      return throwIfAborted(signal) as never;
    } catch (error) {
      const meant = errorFromLog(program, logOf(directory), error);
      if (asked) await removeContainer(id, directory);
      rmSync(directory, { recursive: true, force: true });
      throw meant;
    }
  };

  function taskOf(
    id: string,
    directory: string,
    connection: ShimConnection,
    process: ShimProcess,
    cgroup: Cgroup,
  ): Task {
    const remove = async () => {
      await removeContainer(id, directory);
      removeFiles(directory);
    };
    const parts = { id, directory, connection, process, cgroup, remove };
    const task = withStart({ ...parts, exec: (request) => exec(id, cgroup, request) });
    const run = (verb: string) => runOci(program, logOf(directory), verb, id);
    return override(task, {
      pause: () => run('pause'),
      resume: () => run('resume'),
      // The shim cannot watch a cgroup that the runtime makes; it stays until the delete.
      async wait(given) {
        const status = await task.wait(given);
        return status.oom ? status : { ...status, oom: cgroup.oomKills() > 0 };
      },
    });
  }

  /**
   * A task whose failed start is told in the runtime's own words, and which is exited by it. The shim goes with its
   * connection.
   */
  function withStart(parts: ShimTaskParts): Task {
    const task = createShimTask(parts);
    const failed = Promise.withResolvers<ExitStatus>();
    let hasFailed = false;
    return override(task, {
      async start(given) {
        try {
          await task.start(given);
        } catch (error) {
          const meant = errorFromLog(program, logOf(parts.directory), error);
          if (isGantryError(error, 'cancelled')) throw meant;
          hasFailed = true;
          failed.resolve({ code: exitCodeOf(meant), oom: false, at: new Date() });
          parts.connection.close();
          throw meant;
        }
      },
      wait: (given) => Promise.race([failed.promise, task.wait(given)]),
      delete: () => (hasFailed ? parts.remove() : task.delete()),
    });
  }

  async function exec(container: string, cgroup: Cgroup, request: ExecTask): Promise<Task> {
    const { id, directory, stdio } = request;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    try {
      const file = `${directory}/process.json`;
      writeFileSync(file, exactJson(withTerminal(request.process, stdio)), { mode: 0o600 });
      const socket = consoleSocket(stdio);
      const words = ['--process', file, '--detach', '--pid-file', `${directory}/runtime.pid`, ...consoleWords(socket)];
      const command = ociCommand(program, logOf(directory), 'exec', ...words, container);
      const steps = [...shimSteps({ directory, stdio, kind: 'exec' }), commandStep(directory, socket, [], command)];
      const { connection, process } = await spawner.spawn(steps);
      return withStart({
        id,
        directory,
        connection,
        process,
        cgroup,
        exec: (further) => exec(container, cgroup, further),
        remove: async () => removeFiles(directory),
      });
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  return {
    name: options.name,
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
      return taskOf(id, directory, connection, process, cgroups().open(record.cgroupsPath));
    },
    async cleanup(id, directory) {
      if (readTaskRecord(directory) === undefined) return;
      await removeContainer(id, directory);
      removeFiles(directory);
    },
  };
}

/** What a process that could not be run exits with (POSIX: 2.8.2 Exit Status for Commands). */
function exitCodeOf(error: unknown): number {
  const code = isGantryError(error) ? error.code : undefined;
  return code === 'command-not-found' ? 127 : code === 'command-not-executable' ? 126 : 125;
}

/** A task with some methods replaced; the others, and its live `pid`, stay. */
const override = (task: Task, methods: Partial<Task>): Task => Object.assign(Object.create(task) as Task, methods);
