import { pipeline, Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { GantryError } from '#errors/index.ts';
import { peek } from './peek.ts';

export type Compression = 'gzip' | 'zstd' | 'none';

/**
 * 16 KiB, the default, makes gunzip four times slower; 1 MiB is no faster than this, and lives through two collections of
 * what is young: then it is old, and stays for long.
 */
const chunkSize = 256 * 1024;
const headBytes = 512;
/** What may come out whatever went in; beyond it at most `ratio` bytes for each one that went in. */
export const inflateLimits = { free: 1 << 30, ratio: 200, most: 256 * 2 ** 30 };

/**
 * Tells what a layer's first bytes are. The magic decides, not the media type: senders err about the latter, and what
 * comes out is checked against the diff id either way. @throws GantryError unsupported for bzip2 and xz
 */
export function compressionOf(head: Uint8Array): Compression {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length);
  const starts = (hex: string) => bytes.subarray(0, hex.length / 2).toString('hex') === hex;
  if (starts('1f8b08')) return 'gzip';
  const skippable = bytes.length >= 4 && bytes.readUInt32LE(0) >>> 4 === 0x184d2a5;
  if (starts('28b52ffd') || skippable) return 'zstd';
  const isTar = bytes.subarray(257, 262).toString('latin1') === 'ustar';
  if (!isTar && (starts('fd377a585a00') || starts('425a68')))
    throw new GantryError('unsupported', 'the tar is compressed with xz or bzip2; use gzip, zstd or none', {
      code: 'compression',
    });
  return 'none';
}

const isFormatError = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && /^(?:Z_|ZSTD_)/.test(error.code);

/**
 * Decompresses by magic. Ends with GantryError corrupt where the stream is damaged or cut short, and exhausted (code
 * `inflate-limit`) where it grows beyond `limits`: a decompression bomb.
 */
export async function* inflate(
  source: AsyncIterable<Uint8Array>,
  limits: typeof inflateLimits = inflateLimits,
): AsyncGenerator<Buffer> {
  let read = 0;
  const counted = (async function* () {
    for await (const chunk of source) {
      read += chunk.length;
      yield chunk;
    }
  })();
  const { head, whole } = await peek(counted, headBytes);
  const compression = compressionOf(head);
  const output = compression === 'none' ? whole : decompressed(whole, compression);
  let written = 0;
  try {
    for await (const chunk of output) {
      written += chunk.length;
      if (written > Math.min(limits.most, Math.max(limits.free, read * limits.ratio)))
        throw new GantryError('exhausted', `the layer grows from ${read} to more than ${written} bytes; refused`, {
          code: 'inflate-limit',
        });
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    }
  } catch (cause) {
    if (!isFormatError(cause)) throw cause;
    throw new GantryError('corrupt', `the layer is not valid ${compression}: ${(cause as Error).message}`, {
      code: 'inflate-failed',
      cause,
    });
  }
}

function decompressed(source: AsyncIterable<Uint8Array>, compression: 'gzip' | 'zstd'): Transform {
  const engine = compression === 'gzip' ? createGunzip({ chunkSize }) : createZstdDecompress({ chunkSize });
  // The error reaches the reader through the engine, which pipeline destroys with it.
  pipeline(Readable.from(source, { objectMode: false, highWaterMark: chunkSize }), engine, () => {});
  return engine;
}
