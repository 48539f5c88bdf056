import { lstatSync, readdirSync } from 'node:fs';

const block = 512;

/** Bytes that a directory of our own takes on the disk; what vanishes meanwhile counts nothing. */
export function treeBytes(directory: string): number {
  let bytes = 0;
  const pending = [directory];
  const seen = new Set<number>();
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    try {
      bytes += lstatSync(path).blocks * block;
      for (const entry of readdirSync(path, { withFileTypes: true })) {
        const below = `${path}/${entry.name}`;
        if (entry.isDirectory()) {
          pending.push(below);
          continue;
        }
        const { blocks, ino, nlink } = lstatSync(below);
        if (nlink > 1 && seen.has(ino)) continue;
        seen.add(ino);
        bytes += blocks * block;
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return bytes;
}
