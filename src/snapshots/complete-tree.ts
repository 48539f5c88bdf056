import { closeFd, findStatusAt, makeNodeAt, setTimesFd, statusOf, tryOpenBeneath, unlinkAt } from '#linux/index.ts';
import { copyMetadata } from './copy-metadata.ts';
import { baseOf, directoryOf } from './entry-path.ts';
import type { Extracted } from './extractor.ts';
import { toFileName } from './file-name.ts';
import type { LowerView } from './lower-view.ts';
import { OPEN_DIRECTORY, withDirectory } from './make-entry.ts';
import { isOpaqueAt, isWhiteout, makeOpaque } from './whiteouts.ts';

/** What of an overlay's layer depends on those below it, in a tree that was just unpacked. */
export function completeTree(treeFd: number, { implied, whiteouts }: Extracted, lower: LowerView): void {
  if (isOpaqueAt(treeFd, '.')) hideRoot(treeFd, lower);
  for (const path of whiteouts) dropIfIdle(treeFd, path, lower);
  for (const path of implied) inheritFromLower(treeFd, path, lower);
}

/**
 * An upper directory's metadata hides the lower one's. One that no entry describes takes what shows below it; where
 * nothing does, its time is the epoch, so that equal archives make equal trees.
 */
function inheritFromLower(treeFd: number, path: string, lower: LowerView): void {
  const name = path === '' ? '.' : toFileName(path);
  const fd = tryOpenBeneath(treeFd, name, OPEN_DIRECTORY);
  if (fd < 0) return; // an entry replaced it later
  try {
    const below = lower.find(path);
    if (below?.status.type === 'directory') copyMetadata(below.layerFd, name, fd);
    else setTimesFd(fd, { seconds: 0, nanoseconds: 0 });
  } finally {
    closeFd(fd);
  }
}

/**
 * Removes a whiteout that hides nothing. The kernel passes a directory that it does not merge with a lower one through as
 * it is, and a program would see the whiteout's name in it, and then not find it.
 */
function dropIfIdle(treeFd: number, path: string, lower: LowerView): void {
  const directory = directoryOf(path);
  const fd = tryOpenBeneath(treeFd, directory === '' ? '.' : toFileName(directory), OPEN_DIRECTORY);
  if (fd < 0) return; // an entry replaced it later
  try {
    const name = toFileName(baseOf(path));
    const status = findStatusAt(fd, name);
    if (status === undefined || !isWhiteout(status)) return;
    if (lower.find(path) !== undefined && !isBelowOpaque(treeFd, directory)) return;
    keepingTime(fd, () => unlinkAt(fd, name));
  } finally {
    closeFd(fd);
  }
}

/** `directory` is known to lead through no link. */
function isBelowOpaque(treeFd: number, directory: string): boolean {
  for (let at = directory; at !== ''; at = directoryOf(at)) if (isOpaqueAt(treeFd, toFileName(at))) return true;
  return false;
}

/** The kernel always merges the root directories, so that an opaque one is spelled out entry by entry. */
function hideRoot(treeFd: number, lower: LowerView): void {
  keepingTime(treeFd, () => {
    for (const name of lower.names('')) {
      const own = findStatusAt(treeFd, toFileName(name));
      if (own === undefined) makeNodeAt(treeFd, toFileName(name), 'character-device', 0);
      else if (own.type === 'directory') withDirectory({ fd: treeFd, path: '' }, name, makeOpaque);
    }
  });
}

/** Changes a directory's entries without a trace in its time, which its own entry has set. */
function keepingTime(directoryFd: number, change: () => void): void {
  const { mtime } = statusOf(directoryFd);
  change();
  setTimesFd(directoryFd, mtime);
}
