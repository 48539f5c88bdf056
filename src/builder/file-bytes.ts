import { read } from 'node:fs';
import { promisify } from 'node:util';
import { throwIfAborted } from '#errors/index.ts';
import { getXattr, listXattrs, readInto } from '#linux/index.ts';

const readAsync = promisify(read);
/** Below this a read is faster than a trip to the thread pool. */
const small = 64 * 1024;
const chunkSize = 1024 * 1024;

/** The bytes of an open regular file; large ones are read off the main thread. A chunk is valid until the next. */
export async function* bytesOf(
  fd: number,
  size: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  const buffer = Buffer.allocUnsafe(size <= small ? Math.max(size + 1, 512) : chunkSize);
  for (;;) {
    const length =
      size <= small ? readInto(fd, buffer) : (await readAsync(fd, buffer, 0, buffer.length, null)).bytesRead;
    if (length === 0) return;
    throwIfAborted(signal);
    yield buffer.subarray(0, length);
  }
}

/** The extended attributes that travel with a file: not those of the host's own policy or of overlayfs. */
export function xattrsOf(fd: number): readonly (readonly [string, Buffer])[] {
  return listXattrs(fd)
    .filter((name) => name !== 'security.selinux' && !name.startsWith('trusted.'))
    .sort()
    .flatMap((name) => {
      const value = getXattr(fd, name);
      return value === undefined ? [] : [[name, value] as const];
    });
}
