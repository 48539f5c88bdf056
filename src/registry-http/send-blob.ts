import { once } from 'node:events';
import { type FileHandle, open } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';

const small = 8 << 10;
const large = 1 << 20;
/** How many transfers may read in large steps at once; the others read in small ones. */
const largeAtOnce = 8;

/** Buffers that are used again and again, so that a thousand transfers leave nothing for the collector. */
interface Buffers {
  /** A large one where there is one to have; undefined otherwise. */
  takeLarge(): Buffer | undefined;
  takeSmall(): Buffer;
  giveBack(buffer: Buffer): void;
  /** It may still be with the kernel, and is not used again. */
  abandon(buffer: Buffer): void;
}

function createBuffers(): Buffers {
  const spare = { small: [] as Buffer[], large: [] as Buffer[] };
  let made = 0;
  return {
    takeLarge() {
      if (spare.large.length === 0 && made < largeAtOnce) {
        made++;
        return Buffer.allocUnsafeSlow(large);
      }
      return spare.large.pop();
    },
    takeSmall: () => spare.small.pop() ?? Buffer.allocUnsafeSlow(small),
    abandon(buffer) {
      if (buffer.length === large) made--;
    },
    giveBack: (buffer) => void (buffer.length === large ? spare.large : spare.small).push(buffer),
  };
}

/**
 * Sends a part of a file, first and last byte inclusive, as the answer's body; its headers are set already. Each transfer
 * has one buffer, filled anew when the kernel has taken it: memory is bounded by how many there are, not by their sizes.
 */
export function createBlobSender(): (reply: FastifyReply, path: string, start: number, end: number) => Promise<void> {
  const buffers = createBuffers();
  return async (reply, path, start, end) => {
    const file = await open(path, 'r');
    try {
      reply.hijack();
      const { raw } = reply;
      raw.statusCode = reply.statusCode;
      for (const [key, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(key, value);
      await copy(file, raw, start, end, buffers);
    } finally {
      await file.close();
    }
  };
}

async function copy(file: FileHandle, raw: ServerResponse, start: number, end: number, buffers: Buffers) {
  const gone = once(raw, 'close');
  let buffer = buffers.takeSmall();
  for (let position = start; position <= end; ) {
    // The first step went through: this client takes what it gets, and may have more at once.
    if (position > start && buffer.length === small && end - position >= small) {
      const better = buffers.takeLarge();
      if (better !== undefined) {
        buffers.giveBack(buffer);
        buffer = better;
      }
    }
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - position + 1), position);
    // Shorter than it was a moment ago: what was promised cannot be sent, and the client must see that.
    if (bytesRead === 0) raw.destroy();
    position += bytesRead;
    const taken = new Promise<void>((done) => raw.write(buffer.subarray(0, bytesRead), () => done()));
    await Promise.race([taken, gone]);
    if (raw.destroyed) return buffers.abandon(buffer);
  }
  buffers.giveBack(buffer);
  raw.end();
}
