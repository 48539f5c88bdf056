import { closeSync, constants, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { GantryError, isGantryError } from '#errors/index.ts';
import { launchError, parseLaunchFailure } from './launch-error.ts';
import type { PlanStep } from './plan.ts';
import { encodeRequest, type Reply, ReplyReader, type ReplyType, type RequestType } from './shim-protocol.ts';

interface Waiting {
  readonly expects: ReplyType;
  readonly steps: readonly PlanStep[];
  readonly settle: PromiseWithResolvers<Reply>;
}

/** Frames to and from one shim. Requests are answered by id; what comes unasked (output) goes to `onOutput`. */
export class ShimConnection {
  readonly socket: Socket;
  readonly #reader = new ReplyReader();
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #gone: GantryError | undefined;
  /** Gets `output` and `outputEnd` frames; undefined when the connection has ended. */
  onOutput: (reply: Reply | undefined) => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(undefined));
  }

  /**
   * Asks and waits for the answer.
   * @param steps the plan that an `error` of the launcher is about
   * @throws GantryError of the shim's answer, or unavailable code `shim-gone` when it ends first
   */
  async request(
    type: RequestType,
    expects: ReplyType,
    payload?: Uint8Array,
    steps: readonly PlanStep[] = [],
  ): Promise<Reply> {
    if (this.#gone !== undefined) throw this.#gone;
    this.#lastId = (this.#lastId % 0xffff) + 1;
    const settle = Promise.withResolvers<Reply>();
    this.#waiting.set(this.#lastId, { expects, steps, settle });
    this.socket.write(encodeRequest(type, this.#lastId, payload));
    return settle.promise;
  }

  close(): void {
    this.socket.destroy();
  }

  #receive(bytes: Buffer): void {
    try {
      for (const reply of this.#reader.push(bytes)) {
        if (reply.type === 'output' || reply.type === 'outputEnd') this.onOutput(reply);
        else this.#answer(reply);
      }
    } catch (error) {
      this.socket.destroy(error instanceof Error ? error : undefined);
    }
  }

  #answer(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    if (waiting === undefined) return;
    this.#waiting.delete(reply.id);
    const { expects, steps, settle } = waiting;
    if (reply.type === expects) settle.resolve(reply);
    else if (reply.type === 'error') settle.reject(launchError(parseLaunchFailure(reply.payload), steps));
    else settle.reject(new GantryError('internal', `the shim answered ${reply.type} where ${expects} was due`));
  }

  #end(cause: unknown): void {
    if (this.#gone !== undefined) return;
    this.#gone = new GantryError('unavailable', 'the shim of this process is gone', { code: 'shim-gone', cause });
    for (const { settle } of this.#waiting.values()) settle.reject(this.#gone);
    this.#waiting.clear();
    this.onOutput(undefined);
  }
}

/** Connects to `path`, or to the abstract socket `\0name`. @throws GantryError unavailable code `shim-gone` */
export async function connectSocket(path: string): Promise<Socket> {
  const socket = connect({ path });
  const opened = Promise.withResolvers<void>();
  socket.once('connect', opened.resolve);
  socket.once('error', (cause) =>
    opened.reject(new GantryError('unavailable', 'no shim answers there', { code: 'shim-gone', cause })),
  );
  await opened.promise;
  socket.removeAllListeners('error');
  return socket;
}

/** Whether the shim that was started in this directory still answers. */
export async function shimAnswers(directory: string): Promise<boolean> {
  try {
    (await connectShim(directory)).close();
    return true;
  } catch (error) {
    if (isGantryError(error) && error.code === 'shim-gone') return false;
    throw error;
  }
}

/**
 * Connects to the shim of a task, by the directory's fd: a socket's path has room for 107 bytes only.
 * @throws GantryError unavailable code `shim-gone` where none listens
 */
export async function connectShim(directory: string): Promise<ShimConnection> {
  let fd: number;
  try {
    fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (cause) {
    throw new GantryError('unavailable', `no task at ${directory}`, { code: 'shim-gone', cause });
  }
  try {
    return new ShimConnection(await connectSocket(`/proc/self/fd/${fd}/shim.sock`));
  } finally {
    closeSync(fd);
  }
}
