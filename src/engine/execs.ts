import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { GantryError, isGantryError } from '#errors/index.ts';
import type { Mount, Process } from '#oci/index.ts';
import type { Task, TaskIo } from '#runtime/index.ts';
import type { Container, Containers, Exec, ExecOptions } from './engine.ts';
import { composeExecProcess } from './spec/exec-process.ts';
import { userFilesIn } from './user-files.ts';

interface ExecDeps {
  readonly runningTask: (nameOrId: string) => { container: Container; task: Task };
  readonly execDirectory: (id: string) => string;
  readonly linkEnvironment: (container: Container) => readonly string[];
  readonly mountsOf: (containerId: string) => Promise<readonly Mount[]>;
  /** A failure to execute with its reason (exec-failure.ts). */
  readonly explained: (container: Container, process: Process, error: unknown) => Promise<unknown>;
  /** Where a failure that no caller waits for is told. */
  readonly onError: (error: unknown, about: string) => void;
  readonly tell: (container: Container, action: string, more?: Readonly<Record<string, string>>) => void;
}

interface ExecRecord {
  readonly containerId: string;
  readonly options: ExecOptions;
  /** While it runs: of one that has ended only what can be asked for is kept. */
  task?: Task | undefined;
  pid?: number;
  exitCode?: number;
  /** Settles as soon as the exit code is known. */
  readonly exited: PromiseWithResolvers<void>;
  /** Settles when nothing of it is left. */
  readonly ended: PromiseWithResolvers<number>;
  endedAt?: number;
}

type Output = TaskIo['output'] extends AsyncIterable<infer Chunk> ? Chunk : never;

/** How long the exit code of an exec can be asked for. */
const keptMs = 5 * 60_000;

/** The streams, whose end is told only when the exit code is known: clients ask for it next. */
function untilExited(io: TaskIo, exited: Promise<void>): TaskIo {
  const left = Promise.withResolvers<void>();
  return {
    stdin: io.stdin,
    output: (async function* (): AsyncGenerator<Output> {
      yield* io.output;
      await Promise.race([exited, left.promise]);
    })(),
    async [Symbol.asyncDispose]() {
      left.resolve();
      await io[Symbol.asyncDispose]();
    },
  };
}

/** Further processes in a running container. They live in memory: an exec of a daemon that is gone has no client left. */
export function createExecs(
  deps: ExecDeps,
): Pick<Containers, 'createExec' | 'getExec' | 'execsOf' | 'startExec' | 'resizeExec' | 'waitExec'> {
  const records = new Map<string, ExecRecord>();
  const find = (id: string): ExecRecord => {
    const record = records.get(id);
    if (record === undefined) throw new GantryError('not-found', `No such exec instance: ${id}`);
    return record;
  };
  const runs = (containerId: string): boolean => {
    try {
      return deps.runningTask(containerId).task !== undefined;
    } catch (error) {
      if (isGantryError(error, 'not-found') || isGantryError(error, 'conflict')) return false;
      throw error;
    }
  };
  /** Those that ended a while ago, and those that were never started and whose container is gone. */
  const forgetOld = () => {
    for (const [id, { endedAt, pid, containerId }] of records)
      if (endedAt === undefined ? pid === undefined && !runs(containerId) : Date.now() - endedAt > keptMs)
        records.delete(id);
  };
  return {
    async createExec(nameOrId, options) {
      const { container } = deps.runningTask(nameOrId);
      if (options.command.length === 0) throw new GantryError('invalid', 'No exec command specified');
      const id = randomBytes(32).toString('hex');
      forgetOld();
      records.set(id, {
        containerId: container.id,
        options,
        exited: Promise.withResolvers(),
        ended: Promise.withResolvers(),
      });
      deps.tell(container, `exec_create: ${options.command.join(' ')}`, { execID: id });
      return id;
    },
    getExec(id): Exec {
      const record = find(id);
      return {
        id,
        containerId: record.containerId,
        options: record.options,
        running: record.task !== undefined && record.exitCode === undefined,
        ...(record.exitCode === undefined ? {} : { exitCode: record.exitCode }),
        ...(record.pid === undefined ? {} : { pid: record.pid }),
      };
    },
    execsOf: (containerId) =>
      [...records]
        .filter(([, { containerId: of, exitCode }]) => of === containerId && exitCode === undefined)
        .map(([id]) => id),
    async startExec(id, { size = records.get(id)?.options.consoleSize, beforeStart } = {}) {
      const record = find(id);
      if (record.task !== undefined || record.exitCode !== undefined)
        throw new GantryError('conflict', `Error: Exec command ${id} has already run`);
      const { container, task: parent } = deps.runningTask(record.containerId);
      if (container.state.status === 'paused')
        throw new GantryError('conflict', `Container ${container.name} is paused, unpause the container before exec`);
      const { passwd, group } = userFilesIn(await deps.mountsOf(container.id));
      const { options } = record;
      let process: Process | undefined;
      const atOnce = options.terminal !== true;
      try {
        process = composeExecProcess({
          container,
          options,
          passwd,
          group,
          linkEnvironment: deps.linkEnvironment(container),
        });
        if (atOnce) beforeStart?.();
        const task = await parent.exec({
          id,
          atOnce,
          directory: deps.execDirectory(id),
          process,
          stdio: {
            terminal: options.terminal ?? false,
            stdin: options.attachStdin ?? false,
            stdinOnce: true,
            ...(size === undefined ? {} : { size }),
          },
        });
        record.task = task;
        record.pid = task.pid;
        const io = await task.attach();
        const settle = async () => {
          const { code } = await task.wait();
          record.exitCode = code;
          deps.tell(container, 'exec_die', { execID: id, exitCode: String(code) });
          record.endedAt = Date.now();
          record.exited.resolve();
          record.ended.resolve(code);
          await setImmediate(); // whoever waits is told first
          await task.delete();
          record.task = undefined;
          rmSync(deps.execDirectory(id), { recursive: true, force: true });
        };
        settle().catch((error: unknown) => {
          record.exited.resolve();
          record.ended.reject(error);
          deps.onError(error, `the end of exec ${id}`);
        });
        record.ended.promise.catch(() => undefined);
        deps.tell(container, `exec_start: ${options.command.join(' ')}`, { execID: id });
        if (!atOnce) beforeStart?.();
        await task.start();
        record.pid = task.pid; // another than before, with runtimes that fork only now
        return untilExited(io, record.exited.promise);
      } catch (error) {
        record.exitCode ??= error instanceof GantryError && error.code === 'command-not-found' ? 127 : 126;
        record.endedAt = Date.now();
        record.task = undefined;
        record.ended.resolve(record.exitCode);
        throw process === undefined ? error : await deps.explained(container, process, error);
      }
    },
    async resizeExec(id, size) {
      const { task } = find(id);
      if (task === undefined) throw new GantryError('conflict', `exec ${id} is not running`);
      await task.resize(size);
    },
    waitExec: (id) => find(id).ended.promise,
  };
}
