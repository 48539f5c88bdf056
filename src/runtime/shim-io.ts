import { Writable } from 'node:stream';
import type { TaskIo } from './container-runtime.ts';
import type { ShimConnection } from './shim-connection.ts';
import { encodeRequest, type Reply } from './shim-protocol.ts';

type Output = { readonly stream: 'stdout' | 'stderr'; readonly data: Buffer };

const maxStdinFrame = 64 * 1024;
/** Output held here for a reader that is slow; then the shim is made to wait. */
const highWater = 1024 * 1024;

/** Attaches over a connection of its own, which it owns from then on. */
export async function attachShim(connection: ShimConnection): Promise<TaskIo> {
  const output = new OutputQueue(connection);
  try {
    await connection.request('attach', 'ok');
  } catch (error) {
    connection.close();
    throw error;
  }
  return ioOf(connection, output, () => connection.socket.end());
}

/**
 * Attaches over a connection that others use too, which ends with the output. A shim that is gone has none.
 * @param onStall called when a slow reader holds up all that comes over the connection
 * @param onLeave called when the reader has left
 */
export function attachOver(connection: ShimConnection, onStall: () => void, onLeave: () => void): TaskIo {
  const output = new OutputQueue(connection, onStall);
  connection.request('attach', 'ok').catch(() => output.end());
  return ioOf(connection, output, () => {
    if (connection.socket.writable) connection.socket.write(encodeRequest('detach', 0));
    onLeave();
  });
}

function ioOf(connection: ShimConnection, output: OutputQueue, leave: () => void): TaskIo {
  const stdin = stdinOf(connection);
  return {
    stdin,
    output,
    async [Symbol.asyncDispose]() {
      // Whoever wrote stdin and leaves has closed it.
      if (stdin.wrote && !stdin.writableEnded) stdin.end();
      output.end();
      leave();
      connection.socket.resume();
    },
  };
}

/** Stdin as frames. After the process has gone, what is written is dropped, as by a terminal that nobody reads. */
function stdinOf(connection: ShimConnection): Writable & { readonly wrote: boolean } {
  const { socket } = connection;
  const send = (frame: Buffer, done: () => void) => {
    if (socket.destroyed || !socket.writable) done();
    else socket.write(frame, () => done());
  };
  let wrote = false;
  const stdin = new Writable({
    write(bytes: Buffer, _encoding, done) {
      wrote = true;
      const frames: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += maxStdinFrame)
        frames.push(encodeRequest('stdin', 0, bytes.subarray(at, at + maxStdinFrame)));
      send(Buffer.concat(frames), done);
    },
    final(done) {
      send(encodeRequest('stdinEnd', 0), done);
    },
  });
  return Object.defineProperty(stdin, 'wrote', { get: () => wrote }) as Writable & { readonly wrote: boolean };
}

/** Output frames as they come, for one reader. */
class OutputQueue implements AsyncIterable<Output> {
  readonly #connection: ShimConnection;
  readonly #onStall: () => void;
  readonly #held: Output[] = [];
  #bytes = 0;
  #ended = false;
  #wake = Promise.withResolvers<void>();

  constructor(connection: ShimConnection, onStall = () => {}) {
    this.#connection = connection;
    this.#onStall = onStall;
    connection.onOutput = (reply) => this.#take(reply);
  }

  end(): void {
    this.#ended = true;
    this.#wake.resolve();
  }

  #take(reply: Reply | undefined): void {
    if (this.#ended) return;
    if (reply?.type !== 'output') {
      this.end();
      return;
    }
    this.#held.push({ stream: reply.stream === 2 ? 'stderr' : 'stdout', data: reply.payload });
    this.#bytes += reply.payload.length;
    if (this.#bytes > highWater) {
      this.#connection.socket.pause();
      this.#onStall();
    }
    this.#wake.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Output> {
    for (;;) {
      for (let next = this.#held.shift(); next !== undefined; next = this.#held.shift()) {
        this.#bytes -= next.data.length;
        if (this.#bytes <= highWater) this.#connection.socket.resume();
        yield next;
      }
      if (this.#ended) return;
      await this.#wake.promise;
      this.#wake = Promise.withResolvers<void>();
    }
  }
}
