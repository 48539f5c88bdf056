import { mkdir, rmdir } from 'node:fs/promises';
import { mountTmpfs, unmount } from '#linux/index.ts';
import type { Context } from './context.ts';
import type { Container } from './engine.ts';

const place = (context: Context, id: string) => `${context.options.execRoot}/shm/${id}`;

/**
 * What stands at a container's /dev/shm where others share it (POSIX shared memory belongs to an ipc namespace, but is a
 * filesystem): the donor's own, which the host mounts while a `shareable` container runs. Undefined: it has one to itself.
 */
export async function sharedMemoryOf(
  context: Context,
  container: Container,
  donor: Container | undefined,
): Promise<string | undefined> {
  if (donor !== undefined) return place(context, donor.id);
  if (container.options.ipcMode !== 'shareable') return undefined;
  await releaseSharedMemory(context, container); // of a start that a crash cut short
  const path = place(context, container.id);
  await mkdir(path, { recursive: true, mode: 0o700 });
  mountTmpfs(path, { sizeBytes: container.options.shmSizeBytes ?? 64 * 1024 * 1024, mode: 0o1777 });
  return path;
}

/** Nobody can join any more; who shares it already keeps it. Idempotent. */
export async function releaseSharedMemory(context: Context, { id, options }: Container): Promise<void> {
  if (options.ipcMode !== 'shareable') return;
  const path = place(context, id);
  unmount(path);
  await rmdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
