import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { DetachWatch } from '#client/index.ts';
import type { TaskIo } from '#runtime/index.ts';
import { errorAnswer } from './error-answer.ts';

/** Frames one chunk as Docker's multiplexed stream has it: type, three zeros, length, payload. */
export function frame(stream: 'stdout' | 'stderr', data: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(8 + data.length);
  out.writeUInt32BE(stream === 'stdout' ? 0x01000000 : 0x02000000, 0);
  out.writeUInt32BE(data.length, 4);
  out.set(data, 8);
  return out;
}

export async function write(target: Writable, data: Uint8Array | string): Promise<void> {
  if (!target.write(data) && !target.destroyed) await Promise.race([once(target, 'drain'), once(target, 'close')]);
}

/** How the process ended, as the last frame of a connection that promises it; type 4, which Docker's streams do not have. */
export function endFrame(end: ProcessEnd): Buffer {
  const out = frame('stdout', Buffer.from(JSON.stringify(end)));
  out[0] = 4;
  return out;
}

export type ProcessEnd =
  | { readonly StatusCode: number; readonly Error?: { readonly Message: string } }
  | { readonly Refused: { readonly Status: number; readonly Message: string } };

/** Keys of a terminal that leave it, and what is done then. */
export interface Detach {
  readonly watch: DetachWatch;
  readonly left: () => void;
}

/**
 * Joins a hijacked connection with a process's streams until the output ends, the client goes, or a person types the detach keys.
 * @param options.end waited for and told after the output; where it fails the connection breaks off
 */
export async function pumpAttachment(
  connection: { readonly input: Readable; readonly output: Writable },
  io: TaskIo,
  options: {
    raw: boolean;
    stdin: boolean;
    stdout: boolean;
    stderr: boolean;
    end?: () => Promise<ProcessEnd>;
    detach?: Detach;
  },
): Promise<void> {
  const { detach } = options;
  const gone = () => void io[Symbol.asyncDispose]();
  connection.output.once('close', gone);
  connection.output.on('error', () => connection.output.destroy());
  if (options.stdin) {
    connection.input.on('end', () => io.stdin.end());
    const onData = (data: Buffer) => {
      const typed = detach === undefined ? data : detach.watch.feed(data);
      if (typed === undefined) {
        connection.input.off('data', onData).resume();
        detach?.left();
        gone();
        return;
      }
      if (typed.length > 0 && !io.stdin.write(typed)) {
        connection.input.pause();
        io.stdin.once('drain', () => connection.input.resume());
      }
    };
    connection.input.on('data', onData);
    io.stdin.on('error', () => connection.input.resume());
    connection.input.resume();
  } else connection.input.resume();
  let whole = false;
  try {
    for await (const { stream, data } of io.output) {
      if (connection.output.destroyed) break;
      if (options.raw) {
        if (options.stdout) await write(connection.output, data);
      } else if (stream === 'stdout' ? options.stdout : options.stderr)
        await write(connection.output, frame(stream, data));
    }
    whole = true;
  } finally {
    connection.output.off('close', gone);
    await io[Symbol.asyncDispose]();
    if (options.end === undefined || !whole) connection.output.end();
  }
  if (options.end === undefined || connection.output.destroyed) return;
  try {
    connection.output.end(endFrame(await options.end()));
  } catch (error) {
    connection.output.destroy();
    throw error;
  }
}

/** A reply of JSON lines, as pulls, pushes and builds send. Errors after the head become Docker's error line. */
export async function jsonLines(
  reply: FastifyReply,
  work: (send: (line: object) => void) => Promise<void>,
): Promise<FastifyReply> {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { 'content-type': 'application/json' });
  const send = (line: object) => {
    if (!raw.destroyed) raw.write(`${JSON.stringify(line)}\r\n`);
  };
  try {
    await work(send);
  } catch (error) {
    const { message } = errorAnswer(error);
    send({ errorDetail: { message }, error: message });
  }
  raw.end();
  return reply;
}

/** Fires when the client goes away before the reply is done. */
export function clientSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}
