// HTTP/1.1 over a socket, one exchange per connection. Node's own client would cost a third of a command's start
// (it is measured in the note on start-up in src/cli/main.ts), and the engine's calls need only this much of RFC 9112.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { GantryError } from '#errors/index.ts';

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  /** By lower-case name; of a repeated header the last. */
  readonly headers: ReadonlyMap<string, string>;
}

const maxHeadBytes = 64 * 1024;

/** A request's head. @throws GantryError invalid for a value that would break out of its line */
export function requestHead(method: string, target: string, headers: Readonly<Record<string, string>>): string {
  const lines = [
    `${method} ${target} HTTP/1.1`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  for (const line of lines)
    if (/[\r\n]/.test(line))
      throw new GantryError('invalid', `a line break in a request's head: ${JSON.stringify(line)}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function parseHead(text: string): ResponseHead {
  const [first = '', ...lines] = text.split('\r\n');
  const status = /^HTTP\/1\.[01] (\d{3})(?: (.*))?$/.exec(first);
  if (status === null)
    throw new GantryError('corrupt', `the engine answered "${first.slice(0, 80)}", which is not HTTP`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status: Number(status[1]), reason: status[2] ?? '', headers };
}

/** Reads a response's head; what came after it stays in the socket, which is left paused. Skips `100 Continue`. */
export function readHead(socket: Socket): Promise<ResponseHead> {
  return new Promise((resolve, reject) => {
    let buffered: Buffer = Buffer.alloc(0);
    const stop = () => socket.off('data', onData).off('error', onError).off('close', onClose);
    const fail = (error: unknown) => {
      stop();
      socket.destroy();
      reject(error);
    };
    const onError = (error: Error) => fail(error);
    const onClose = () => fail(new GantryError('unavailable', 'the engine closed the connection without an answer'));
    const onData = (chunk: Buffer) => {
      buffered = buffered.length === 0 ? Buffer.from(chunk) : Buffer.concat([buffered, chunk]);
      for (;;) {
        const end = buffered.indexOf('\r\n\r\n');
        if (end < 0) {
          if (buffered.length > maxHeadBytes)
            fail(new GantryError('corrupt', 'the head of the engine\u2019s answer never ends'));
          return;
        }
        let head: ResponseHead;
        try {
          head = parseHead(buffered.toString('latin1', 0, end));
        } catch (error) {
          fail(error);
          return;
        }
        buffered = buffered.subarray(end + 4);
        if (head.status === 100) continue;
        stop();
        socket.pause();
        if (buffered.length > 0) socket.unshift(buffered);
        resolve(head);
        return;
      }
    };
    socket.on('data', onData).on('error', onError).on('close', onClose);
  });
}

/** The body of a response: chunked, of a known length, or until the connection closes. Closes the socket at the end. */
export async function* readBody(socket: Socket, head: ResponseHead): AsyncGenerator<Buffer, void, void> {
  const length = head.headers.get('content-length');
  try {
    if (head.status === 204 || head.status === 304 || length === '0') return;
    if (head.headers.get('transfer-encoding')?.toLowerCase() === 'chunked') yield* readChunks(socket);
    else if (length === undefined) yield* socket as AsyncIterable<Buffer>;
    else {
      let left = Number(length);
      for await (const chunk of socket as AsyncIterable<Buffer>) {
        yield chunk.length > left ? chunk.subarray(0, left) : chunk;
        left -= chunk.length;
        if (left <= 0) return;
      }
      throw new GantryError('unavailable', `the engine\u2019s answer ended ${left} bytes early`);
    }
  } finally {
    socket.destroy();
  }
}

/** RFC 9112 section 7.1; extensions and trailers are passed over. */
async function* readChunks(socket: Socket): AsyncGenerator<Buffer, void, void> {
  let pending: Buffer = Buffer.alloc(0);
  let left = 0; // bytes of the current chunk still to come, with its CRLF
  for await (const data of socket as AsyncIterable<Buffer>) {
    pending = pending.length === 0 ? data : Buffer.concat([pending, data]);
    for (;;) {
      if (left > 0) {
        if (pending.length === 0) break;
        const take = Math.min(left - 2, pending.length);
        if (take > 0) yield pending.subarray(0, take);
        const passed = take > 0 ? take : Math.min(left, pending.length);
        left -= passed;
        pending = pending.subarray(passed);
        continue;
      }
      const end = pending.indexOf('\r\n');
      if (end < 0) break;
      const size = Number.parseInt(pending.toString('latin1', 0, end), 16);
      if (Number.isNaN(size)) throw new GantryError('corrupt', 'a chunk of the engine\u2019s answer has no size');
      if (size === 0) return;
      pending = pending.subarray(end + 2);
      left = size + 2;
    }
  }
  throw new GantryError('unavailable', 'the engine\u2019s answer broke off');
}

/** Sends a body of unknown length in chunks, at the pace the other side reads. */
export async function writeChunks(socket: Socket, source: AsyncIterable<Uint8Array>): Promise<void> {
  const closed = Promise.withResolvers<void>();
  socket.once('close', closed.resolve);
  for await (const chunk of source) {
    if (socket.destroyed) return;
    if (chunk.length === 0) continue;
    socket.cork();
    socket.write(`${chunk.length.toString(16)}\r\n`);
    socket.write(chunk);
    const ready = socket.write('\r\n');
    socket.uncork();
    if (!ready && !socket.destroyed) await Promise.race([once(socket, 'drain'), closed.promise]);
  }
  if (!socket.destroyed) socket.write('0\r\n\r\n');
}
