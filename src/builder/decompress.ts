import { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { GantryError } from '#errors/index.ts';

export type Compression = 'none' | 'gzip' | 'zstd' | 'bzip2' | 'xz';

const chunkSize = 1024 * 1024;
const magics: readonly (readonly [Compression, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];

/** By the first bytes, whatever the name says. */
export const compressionOf = (start: Uint8Array): Compression =>
  magics.find(([, magic]) => magic.every((byte, i) => start[i] === byte))?.[0] ?? 'none';

/**
 * The plain bytes of a stream that may be compressed; what it is shows in its first bytes. A broken stream fails with
 * zlib's error. @throws GantryError unsupported for bzip2 and xz
 */
export function decompressed(source: Readable, compression: Compression): AsyncIterable<Uint8Array> {
  switch (compression) {
    case 'none':
      return source;
    case 'gzip':
    case 'zstd': {
      const plain = compression === 'gzip' ? createGunzip({ chunkSize }) : createZstdDecompress({ chunkSize });
      source.once('error', (error) => plain.destroy(error));
      plain.once('close', () => source.destroy());
      return source.pipe(plain);
    }
    case 'bzip2':
    case 'xz':
      throw new GantryError(
        'unsupported',
        `${compression} archives are not supported yet; use gzip, zstd or no compression`,
      );
  }
}

/** Looks at the first bytes of a stream and gives it back whole. */
export async function sniff(source: Readable, count: number): Promise<{ start: Buffer; stream: Readable }> {
  const iterator = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const parts: Buffer[] = [];
  for (let length = 0; length < count; ) {
    const { value, done } = await iterator.next();
    if (done === true) break;
    parts.push(value);
    length += value.length;
  }
  const start = Buffer.concat(parts);
  const rest = async function* () {
    try {
      if (start.length > 0) yield start;
      for (;;) {
        const { value, done } = await iterator.next();
        if (done === true) return;
        yield value;
      }
    } finally {
      await iterator.return?.();
    }
  };
  return { start, stream: Readable.from(rest(), { objectMode: false }) };
}
