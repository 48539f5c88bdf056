import { getXattrAt, listXattrsAt } from '#linux/index.ts';
import { decodeName, encodeName } from '#tar/index.ts';
import { joinPath } from '../entry-path.ts';
import { toFileName } from '../file-name.ts';
import type { LowerView } from '../lower-view.ts';
import { isLayerXattr, OPAQUE_XATTR } from '../whiteouts.ts';
import { addWhiteout, type BuiltLayer } from './layer-builder.ts';
import type { LayerTree } from './layer-tree.ts';

/** What of a layer depends on those below it, as complete-tree.ts does it on disk. */
export function completeLayer({ tree, implied, whiteouts }: BuiltLayer, lower: LowerView): void {
  if (isOpaque(tree, tree.root)) hideRoot(tree, lower);
  for (const entry of whiteouts) dropIfIdle(tree, entry, lower);
  for (const directory of implied) inheritFromLower(tree, directory, lower);
}

const isOpaque = (tree: LayerTree, directory: number): boolean => tree.attributes(directory).has(OPAQUE_XATTR);

/** The kernel always merges the root directories, so that an opaque one is spelled out entry by entry. */
function hideRoot(tree: LayerTree, lower: LowerView): void {
  for (const text of lower.names('')) {
    const name = encodeName(text);
    const own = tree.find(tree.root, name);
    if (own === 0) addWhiteout(tree, tree.root, name);
    else if (tree.isDirectory(tree.nodeOf(own))) tree.setAttribute(tree.nodeOf(own), OPAQUE_XATTR, Buffer.from('y'));
  }
}

/**
 * Removes a whiteout that hides nothing. The kernel passes a directory that it does not merge with a lower one through as
 * it is, and a program would see the whiteout's name in it, and then not find it.
 */
function dropIfIdle(tree: LayerTree, entry: number, lower: LowerView): void {
  const node = tree.nodeOf(entry);
  if (node === 0 || !tree.isWhiteout(node)) return; // an entry replaced it later
  const directory = tree.directoryOf(entry);
  const path = joinPath(tree.path(directory), decodeName(tree.name(entry)));
  if (lower.find(path) === undefined || isBelowOpaque(tree, directory)) tree.unlink(entry);
}

function isBelowOpaque(tree: LayerTree, directory: number): boolean {
  for (let at = directory; at !== tree.root; at = tree.parent(at)) if (isOpaque(tree, at)) return true;
  return false;
}

/** A directory that no entry describes takes what shows below it; where nothing does, its time is the epoch. */
function inheritFromLower(tree: LayerTree, directory: number, lower: LowerView): void {
  if (directory !== tree.root && tree.links(directory) === 0) return; // an entry replaced it later
  const path = tree.path(directory);
  const below = lower.find(path);
  if (below?.status.type !== 'directory') return;
  const { mode, uid, gid, mtime } = below.status;
  tree.describe(directory, { mode, uid, gid, ...mtime });
  const name = path === '' ? '.' : toFileName(path);
  for (const key of listXattrsAt(below.layerFd, name).filter(isLayerXattr)) {
    const value = getXattrAt(below.layerFd, name, key);
    if (value !== undefined) tree.setAttribute(directory, key, value);
  }
}
