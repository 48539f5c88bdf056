import { statusAt, walkTree } from '#linux/index.ts';

/** Bytes of the contents of all files below a directory, each inode once. */
export function treeSize(rootFd: number): number {
  const seen = new Set<string>();
  let size = 0;
  for (const { kind, directory, directoryFd, name } of walkTree(rootFd)) {
    if (kind === 'leave' || directory) continue;
    const status = statusAt(directoryFd, name);
    if (status.type !== 'file') continue;
    if (status.links > 1) {
      if (seen.has(status.identity)) continue;
      seen.add(status.identity);
    }
    size += status.size;
  }
  return size;
}
