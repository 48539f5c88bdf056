import type { Readable } from 'node:stream';
import { GantryError } from '#errors/index.ts';
import { closeFd, openDirectory } from '#linux/index.ts';
import { extractTar, packTree } from '#snapshots/index.ts';
import type { CacheMounts } from './cache-mounts.ts';
import { compressionOf, decompressed, sniff } from './decompress.ts';

const alone = { sharing: 'locked', mode: 0o755, uid: 0, gid: 0 } as const;

/** Gives what a cache mount holds to `take` as a tar; no step changes it meanwhile. @throws GantryError not-found */
export async function exportMount(
  mounts: CacheMounts,
  id: string,
  take: (tar: Readable) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  if (!mounts.has(id))
    throw new GantryError('not-found', `there is no cache mount "${id}"; a mount without id= is called as its target`);
  const held = await mounts.hold({ ...alone, id }, undefined, signal);
  try {
    const fd = openDirectory(held.path);
    try {
      await take(packTree(fd, { signal }));
    } finally {
      closeFd(fd);
    }
  } finally {
    await held.release();
  }
}

/** Unpacks a tar, compressed or not, into a cache mount; what is there and not in the tar stays. */
export async function importMount(mounts: CacheMounts, id: string, tar: Readable, signal: AbortSignal): Promise<void> {
  if (id === '') throw new GantryError('invalid', 'a cache mount is named by its id');
  const held = await mounts.hold({ ...alone, id }, undefined, signal);
  try {
    const fd = openDirectory(held.path);
    try {
      const { start, stream } = await sniff(tar, 6);
      await extractTar(decompressed(stream, compressionOf(start)), fd, { whiteouts: 'literal', signal });
    } finally {
      closeFd(fd);
    }
  } finally {
    await held.release();
  }
}
