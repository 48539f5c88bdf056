import { open } from 'node:fs/promises';
import { GantryError, messageOf } from '#errors/index.ts';
import type { TarSource } from '#tar/index.ts';

const chunkSize = 256 * 1024;

/** A tar's time of Node's; fractions of a second are left out. */
export const timeOf = (milliseconds: number) => ({ seconds: Math.floor(milliseconds / 1000), nanoseconds: 0 });

/** A file as it is when its turn comes: its size is taken from the open file, and what is appended later is left out. */
export async function* fileEntry(
  full: Buffer,
  path: string,
  common: Omit<TarSource['header'], 'type'>,
): AsyncGenerator<TarSource, void, void> {
  const file = await open(full, 'r').catch((error: unknown) => {
    throw new GantryError('forbidden', `cannot read "${path}": ${messageOf(error)}`);
  });
  try {
    const { size } = await file.stat();
    const body = async function* (): AsyncGenerator<Uint8Array, void, void> {
      for (let left = size; left > 0; ) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(left, chunkSize)));
        if (bytesRead === 0)
          throw new GantryError('conflict', `"${path}" became shorter while it was sent; try again when it is at rest`);
        left -= bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    };
    yield { header: { ...common, type: 'file', size }, body: body() };
  } finally {
    await file.close();
  }
}
