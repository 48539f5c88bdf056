import type { Readable } from 'node:stream';
import { GantryError } from '#errors/index.ts';

/** A request's body whole, at most `limit` bytes. @throws GantryError exhausted (code `body-too-large`), cancelled */
export async function readBody(source: Readable, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of source.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > limit)
        throw new GantryError('exhausted', `the request has more than ${limit} bytes`, { code: 'body-too-large' });
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof GantryError) throw error;
    throw new GantryError('cancelled', 'the request was cut off', { cause: error });
  }
  return Buffer.concat(chunks, size);
}
