import { setImmediate } from 'node:timers/promises';
import { isGantryError } from '#errors/index.ts';
import { closeFd, findStatusAt, openDirectory, statusOf } from './files.ts';
import { walkTree } from './walk-tree.ts';

/**
 * Bytes that a directory and all below it take on the disk, each inode once, as du(1) counts; in slices, so that a large
 * tree does not hold the event loop. Undefined where there is no such directory; of a tree that changes meanwhile, what was seen.
 */
export async function allocatedBytes(path: string): Promise<number | undefined> {
  let rootFd: number;
  try {
    rootFd = openDirectory(path);
  } catch (error) {
    if (isGantryError(error, 'not-found')) return undefined;
    throw error;
  }
  const linked = new Set<string>();
  let bytes = statusOf(rootFd).allocated;
  let until = performance.now() + 5;
  try {
    for (const { kind, directoryFd, name } of walkTree(rootFd)) {
      if (kind === 'leave') continue;
      const status = findStatusAt(directoryFd, name);
      if (status === undefined) continue;
      if (status.links > 1 && status.type !== 'directory') {
        if (linked.has(status.identity)) continue;
        linked.add(status.identity);
      }
      bytes += status.allocated;
      if (performance.now() < until) continue;
      await setImmediate();
      until = performance.now() + 5;
    }
  } catch (error) {
    if (!isGantryError(error, 'not-found') && !isGantryError(error, 'conflict')) throw error;
  } finally {
    closeFd(rootFd);
  }
  return bytes;
}
