import { spawn } from 'node:child_process';
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
 * zlib's error; GantryError unsupported where bzip2 or xz needs a program that this host does not have
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
      return byProgram(source, compression);
  }
}

/** Neither is in Node: the system's own program does it, as nobody, and knows nothing but the bytes. */
async function* byProgram(source: Readable, program: 'bzip2' | 'xz'): AsyncGenerator<Uint8Array, void> {
  const limits = program === 'xz' ? ['--memlimit-decompress=512MiB'] : [];
  const child = spawn(program, ['--decompress', '--stdout', ...limits], {
    cwd: '/',
    env: { PATH: '/usr/bin:/bin' },
    uid: nobody,
    gid: nobody,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const said: Buffer[] = [];
  child.stderr.on('data', (data: Buffer) => said.push(data));
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ENOENT'
          ? new GantryError(
              'unsupported',
              `${program} archives need the program ${program}, which this host does not have; install it or use gzip or zstd`,
            )
          : error,
      ),
    );
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new GantryError('corrupt', Buffer.concat(said).toString('utf8').trim() || `${program} failed`));
    });
  });
  ended.catch(() => undefined); // told below, unless the reader leaves first
  source.once('error', (error) => child.stdin.destroy(error));
  child.stdin.on('error', () => source.destroy());
  source.pipe(child.stdin);
  try {
    yield* child.stdout;
    await ended;
  } finally {
    source.destroy();
    child.kill('SIGKILL');
  }
}

const nobody = 65534;

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
