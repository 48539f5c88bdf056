import { GantryError } from '#errors/index.ts';
import { decodeName, encodeName } from '#tar/index.ts';
import type { LayerTree } from './layer-tree.ts';

const MAX_LINKS = 40; // as the kernel
const MAX_DEPTH = 2048;

/**
 * Makes a directory where `directory` has no `name`, or (`existing`, an entry) what is neither directory nor link.
 * @throws GantryError where it may not be
 */
export type MakeDirectory = (directory: number, name: Buffer, existing: number | undefined) => number;

const refuse: MakeDirectory = (_directory, name, existing) => {
  throw existing === undefined
    ? new GantryError('not-found', `"${decodeName(name)}" does not exist`)
    : new GantryError('invalid', `"${decodeName(name)}" is no directory, so nothing can be below it`);
};

/**
 * The directory at a clean path; links on the way are resolved inside the tree, as in a chroot.
 * @throws GantryError not-found, invalid (a file on the way, too many links, too deep)
 */
export function resolvePath(tree: LayerTree, path: string, make: MakeDirectory = refuse): number {
  const pending = path.split('/').reverse();
  let current = tree.root;
  let links = 0;
  let depth = 0;
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      current = tree.parent(current);
      continue;
    }
    const name = encodeName(part);
    const entry = tree.find(current, name);
    const node = entry === 0 ? undefined : tree.nodeOf(entry);
    if (node !== undefined && tree.isSymlink(node)) {
      if (++links > MAX_LINKS) throw new GantryError('invalid', `"${path}" leads through more than ${MAX_LINKS} links`);
      const target = decodeName(tree.target(node));
      if (target.startsWith('/')) current = tree.root;
      pending.push(...target.split('/').reverse());
      continue;
    }
    if (++depth > MAX_DEPTH) throw new GantryError('invalid', `"${path.slice(0, 80)}…" is too deep`);
    current =
      node !== undefined && tree.isDirectory(node) ? node : make(current, name, entry === 0 ? undefined : entry);
  }
  return current;
}
