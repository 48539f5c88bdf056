import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { GantryError } from '#errors/index.ts';
import type { TaskIo, TaskStdio } from './container-runtime.ts';
import { encodePlan, type PlanStep } from './plan.ts';
import { connectSocket, ShimConnection } from './shim-connection.ts';
import { attachOver } from './shim-io.ts';
import type { Reply } from './shim-protocol.ts';

/** What a shim tells of its process. */
export interface ShimProcess {
  readonly pid: number;
  readonly state: 'created' | 'running' | 'exited';
  /** In clock ticks since boot (proc(5): /proc/pid/stat field 22); names a pid beyond doubt. */
  readonly startTime: bigint;
}

/** Starts shims: from a small process that is kept warm, since a fork of the engine itself costs milliseconds. */
export interface ShimSpawner {
  /**
   * A new shim that carries out `create` (shim-protocol.ts). Where it fails the shim is gone.
   * @param options.atOnce attach and start are asked for with it; a start that fails leaves the shim, which tells the exit
   * @throws GantryError of the failed step, unavailable where no shim can be started
   */
  spawn(steps: readonly PlanStep[], options?: { readonly atOnce?: boolean }): Promise<Spawned>;
}

interface Spawned {
  readonly connection: ShimConnection;
  readonly process: ShimProcess;
  readonly begun?: Begun;
}

/** What was asked of a shim before its process was there. */
export interface Begun {
  /** All of its output. */
  readonly io: TaskIo;
  readonly started: Promise<Reply>;
  readonly exited: Promise<Reply>;
  /** Its reader is so slow that nothing else comes over this connection, which the shim may close for it. */
  readonly stalled: Promise<void>;
  /** Its reader has left: nobody needs the connection for output any more. */
  readonly left: Promise<void>;
}

/** How long a process's pipes may stay open and silent after it has ended, in milliseconds: a first process takes all of its namespace along, an exec leaves its children behind. */
const drainMs = { container: 3000, exec: 100 } as const;
/** How long a client that takes no output may hold it up, in milliseconds. */
const stallMs = 300_000;

/** The steps at the front of every create request. */
export function shimSteps(shim: {
  readonly directory: string;
  readonly stdio: TaskStdio;
  readonly kind: keyof typeof drainMs;
  /** How it ended outlasts the host. */
  readonly syncExit?: boolean;
  /** A file that counts OOM kills. */
  readonly oomEvents?: string;
}): readonly PlanStep[] {
  const { directory, stdio } = shim;
  const stdin = stdio.stdin ? (stdio.stdinOnce ? 2 : 1) : 0;
  return [
    { name: 'directory', args: [directory] },
    { name: 'stdio', args: [stdio.terminal ? 1 : 0, stdin] },
    { name: 'patience', args: [drainMs[shim.kind], stdio.stallMilliseconds ?? stallMs] },
    ...(stdio.log === undefined
      ? []
      : [
          {
            name: 'log' as const,
            args: [stdio.log.path, stdio.log.maxBytes, stdio.log.maxFiles, attributesText(stdio.log.attributes)],
          },
        ]),
    ...(shim.syncExit ? [{ name: 'sync-exit' as const, args: [] }] : []),
    ...(shim.oomEvents === undefined ? [] : [{ name: 'oom-events' as const, args: [shim.oomEvents] }]),
  ];
}

/** A member of each line's object, with its comma. */
const attributesText = (attributes: Readonly<Record<string, string>> = {}): string =>
  Object.keys(attributes).length === 0 ? '' : `"attrs":${JSON.stringify(attributes)},`;

export function parseShimProcess(payload: Buffer): ShimProcess {
  const state = (['created', 'running', 'exited'] as const)[payload.readUInt32LE(4)] ?? 'exited';
  return { pid: payload.readUInt32LE(0), state, startTime: payload.readBigUInt64LE(8) };
}

function begin(connection: ShimConnection, steps: readonly PlanStep[]): Begun {
  const stalled = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  const io = attachOver(connection, stalled.resolve, left.resolve);
  const exited = connection.request('wait', 'exited');
  const started = connection.request('start', 'started', undefined, steps);
  for (const answer of [exited, started]) answer.catch(() => undefined); // told to whoever waits
  return { io, exited, started, stalled: stalled.promise, left: left.promise };
}

/** A spawner whose process starts with the first shim and ends with this one. */
export function createShimSpawner(shimPath: string): ShimSpawner {
  let address: Promise<string> | undefined;

  function startSpawner(): Promise<string> {
    const child: ChildProcess = spawn(shimPath, ['--spawner'], {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
      detached: true,
    });
    const named = Promise.withResolvers<string>();
    const pipe = child.stdio[3];
    if (!(pipe instanceof Socket)) throw new GantryError('internal', 'the spawner has no pipe');
    let name = '';
    pipe.on('data', (bytes: Buffer) => {
      name += bytes.toString('latin1');
      if (!name.endsWith('\n')) return;
      // From here on neither keeps this process alive.
      child.unref();
      pipe.unref();
      named.resolve(`\0${name.slice(0, -1)}`);
    });
    child.once('error', (cause) =>
      named.reject(new GantryError('unavailable', `cannot run ${shimPath}: ${cause.message}`, { cause })),
    );
    child.once('exit', (code) => {
      address = undefined;
      named.reject(new GantryError('unavailable', `${shimPath} --spawner ended with ${code}`));
    });
    return named.promise;
  }

  async function connectSpawner(): Promise<ShimConnection> {
    address ??= startSpawner();
    try {
      return new ShimConnection(await connectSocket(await address));
    } catch (error) {
      address = undefined;
      throw error;
    }
  }

  return {
    async spawn(steps, { atOnce = false } = {}) {
      const connection = await connectSpawner();
      try {
        connection.socket.cork();
        const created = connection.request('create', 'created', encodePlan(steps), steps);
        const begun = atOnce ? begin(connection, steps) : undefined;
        connection.socket.uncork();
        const process = parseShimProcess((await created).payload);
        return { connection, process, ...(begun === undefined ? {} : { begun }) };
      } catch (error) {
        connection.close();
        throw error;
      }
    },
  };
}
