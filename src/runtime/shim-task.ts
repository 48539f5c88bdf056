import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { GantryError, isGantryError } from '#errors/index.ts';
import { type Cgroup, openCgroups } from '#linux/index.ts';
import { readCgroupReport } from './cgroup-report.ts';
import type { ExecTask, ExitStatus, Task, TaskIo } from './container-runtime.ts';
import type { PlanStep } from './plan.ts';
import { connectShim, type ShimConnection } from './shim-connection.ts';
import { attachShim } from './shim-io.ts';
import type { Reply } from './shim-protocol.ts';
import { type Begun, parseShimProcess, type ShimProcess } from './shim-spawner.ts';

/** What a task over a shim is made of; launcher and OCI command lines differ only in what they put here. */
export interface ShimTaskParts {
  readonly id: string;
  readonly directory: string;
  readonly connection: ShimConnection;
  readonly process: ShimProcess;
  /** What was asked with its creation. */
  readonly begun?: Begun;
  /** The plan, so that an error at exec can be put in words. */
  readonly steps?: readonly PlanStep[];
  /** The container's; that of an exec's container too. */
  readonly cgroup: Cgroup;
  exec(request: ExecTask, options?: { signal?: AbortSignal }): Promise<Task>;
  /** What is to be done before a start is told; where it fails the process is ended. */
  started?(pid: number): Promise<void>;
  /** Removes what is left when the process has ended. */
  remove(): Promise<void>;
}

/** A task whose process a shim owns (container-runtime.ts#Task). */
export function createShimTask(parts: ShimTaskParts): Task {
  const { connection, cgroup, directory } = parts;
  let { process, begun } = parts;
  let exit: ExitStatus | undefined;
  /** Ends the connection; one that has the output too ends with that, or when its reader has left. */
  const leave = () => {
    const close = () => connection.close();
    if (parts.begun === undefined) close();
    else void parts.begun.left.then(close);
  };
  const exited = waitForExit(parts).then((status) => {
    exit = status;
    leave(); // the shim has nothing more to say, and ends
    return status;
  });
  exited.catch(() => undefined); // told to whoever waits

  const mustLive = () => {
    if (exit !== undefined)
      throw new GantryError('conflict', `the process of ${parts.id} has ended`, { code: 'not-running' });
  };

  return {
    id: parts.id,
    get pid() {
      return process.pid;
    },
    get isRunning() {
      return exit === undefined && process.state === 'running';
    },
    async start({ signal } = {}) {
      if (parts.begun === undefined) mustLive();
      const started = parts.begun?.started ?? connection.request('start', 'started', undefined, parts.steps);
      process = parseShimProcess((await abortable(started, signal)).payload);
      try {
        await parts.started?.(process.pid);
      } catch (error) {
        await cgroup.kill();
        throw error;
      }
    },
    async attach() {
      const first = begun?.io;
      begun = undefined;
      if (first !== undefined) return first;
      if (exit !== undefined) return attachEnded();
      try {
        return await attachShim(await connectShim(directory));
      } catch (error) {
        if (isGantryError(error) && error.code === 'shim-gone') return attachEnded();
        throw error;
      }
    },
    async resize({ rows, columns }) {
      mustLive();
      const size = Buffer.alloc(4);
      size.writeUInt16LE(rows, 0);
      size.writeUInt16LE(columns, 2);
      await connection.request('resize', 'ok', size);
    },
    async kill(signal, { all = false } = {}) {
      mustLive();
      if (all) return await cgroup.kill(signal);
      const number = Buffer.alloc(4);
      number.writeUInt32LE(signal, 0);
      try {
        await connection.request('kill', 'ok', number);
      } catch (error) {
        if (isGantryError(error) && (error.code === 'ESRCH' || error.code === 'shim-gone'))
          throw new GantryError('conflict', `the process of ${parts.id} has ended`, {
            code: 'not-running',
            cause: error,
          });
        throw error;
      }
    },
    async pause() {
      mustLive();
      await cgroup.freeze();
    },
    async resume() {
      mustLive();
      await cgroup.thaw();
    },
    wait: ({ signal } = {}) => abortable(exited, signal),
    async exec(request, options) {
      mustLive();
      return await parts.exec(request, options);
    },
    async pids() {
      return cgroup.pids();
    },
    async update(resources) {
      mustLive();
      cgroup.update(resources);
    },
    async stats() {
      mustLive();
      return readCgroupReport(openCgroups(), cgroup.directories);
    },
    async delete() {
      if (exit === undefined && !(await settled(exited)))
        throw new GantryError('conflict', `${parts.id} is running; kill it first`, { code: 'running' });
      leave();
      await parts.remove();
    },
  };
}

/** Whether a promise is settled by now. */
const settled = (promise: Promise<unknown>): Promise<boolean> =>
  Promise.race([
    promise.then(
      () => true,
      () => true,
    ),
    new Promise<boolean>((resolve) => setImmediate(resolve, false)),
  ]);

/** Streams of a process that has ended. */
function attachEnded(): TaskIo {
  const stdin = new PassThrough();
  stdin.resume();
  return {
    stdin,
    output: (async function* () {})(),
    async [Symbol.asyncDispose]() {
      stdin.destroy();
    },
  };
}

/** Over the task's own connection; over another where a slow reader holds that one up, or the shim gave him up. */
async function exitReply({ begun, connection, directory }: ShimTaskParts): Promise<Reply> {
  if (begun === undefined) return await connection.request('wait', 'exited');
  const again = async () => {
    const another = await connectShim(directory);
    try {
      return await another.request('wait', 'exited');
    } finally {
      another.close();
    }
  };
  const first = begun.exited.catch((error: unknown) => {
    if (isGantryError(error) && error.code === 'shim-gone') return again();
    throw error;
  });
  return await Promise.race([first, begun.stalled.then(again)]);
}

async function waitForExit(parts: ShimTaskParts): Promise<ExitStatus> {
  const { directory } = parts;
  let reply: Reply;
  try {
    reply = await exitReply(parts);
  } catch (error) {
    if (!isGantryError(error) || error.code !== 'shim-gone') throw error;
    return readExitFile(directory, error);
  }
  const { payload } = reply;
  const signal = payload.readUInt32LE(4);
  return {
    code: payload.readUInt32LE(0),
    ...(signal === 0 ? {} : { signal }),
    oom: payload.readUInt32LE(8) !== 0,
    at: new Date(payload.toString('latin1', 12)),
  };
}

/** What a shim wrote before it went. @throws `gone` where it was killed before it could */
function readExitFile(directory: string, gone: GantryError): ExitStatus {
  let text: string;
  try {
    text = readFileSync(`${directory}/exit.json`, 'utf8');
  } catch {
    throw gone;
  }
  if (text === '') throw gone; // the host went down before it was on the disk
  const { code, signal, oom, at } = JSON.parse(text) as { code: number; signal: number; oom: boolean; at: string };
  return { code, ...(signal === 0 ? {} : { signal }), oom, at: new Date(at) };
}

/** The promise, or cancelled when the signal fires first. @throws GantryError cancelled */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise;
  const cancelled = Promise.withResolvers<never>();
  const cancel = () =>
    cancelled.reject(new GantryError('cancelled', 'the operation was cancelled', { cause: signal.reason }));
  if (signal.aborted) cancel();
  else signal.addEventListener('abort', cancel, { once: true });
  try {
    return await Promise.race([promise, cancelled.promise]);
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}
