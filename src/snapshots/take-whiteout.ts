import { GantryError } from '#errors/index.ts';
import { findStatusAt, makeNodeAt, removeTreeSync } from '#linux/index.ts';
import { joinPath } from './entry-path.ts';
import { toFileName } from './file-name.ts';
import { withDirectory } from './make-entry.ts';
import type { OpenDirectory } from './parent-walk.ts';
import { walkPaths } from './walk-paths.ts';
import { isAufsMetadata, makeOpaque, OPAQUE_NAME, WHITEOUT_PREFIX } from './whiteouts.ts';

/**
 * Carries out a `.wh.` entry of the directory `at`. Whatever its place in the archive, it hides only what lower layers
 * have, never what its own layer has (image-spec: layer.md#whiteouts). `written` has the paths of that layer where the
 * tree holds the lower ones too; without it the tree is the layer alone, and the whiteout is made in an overlay's form.
 * @returns the path of an overlay's whiteout that was made
 * @throws GantryError invalid for a whiteout of nothing, `.` or `..`
 */
export function takeWhiteout(
  at: OpenDirectory,
  entry: string,
  written: ReadonlySet<string> | undefined,
): string | undefined {
  if (isAufsMetadata(entry)) return undefined;
  if (entry === OPAQUE_NAME) {
    if (written === undefined) makeOpaque(at.fd);
    else removeUnwritten(at, written);
    return undefined;
  }
  const hidden = entry.slice(WHITEOUT_PREFIX.length);
  if (hidden === '' || hidden === '.' || hidden === '..')
    throw new GantryError('invalid', `a whiteout of "${hidden}" hides nothing that a layer can have`);
  const existing = findStatusAt(at.fd, toFileName(hidden));
  const path = joinPath(at.path, hidden);
  if (existing === undefined) {
    if (written !== undefined) return undefined;
    makeNodeAt(at.fd, toFileName(hidden), 'character-device', 0);
    return path;
  }
  if (written !== undefined && !written.has(path)) removeTreeSync(at.fd, toFileName(hidden));
  else if (existing.type === 'directory')
    withDirectory(at, hidden, (fd) => {
      if (written === undefined) makeOpaque(fd);
      else removeUnwritten({ fd, path }, written);
    });
  return undefined;
}

/** Removes all below a directory that is not of this layer. */
function removeUnwritten(directory: OpenDirectory, written: ReadonlySet<string>): void {
  const walk = walkPaths(directory.fd);
  let into: boolean | undefined;
  for (let next = walk.next(); !next.done; next = walk.next(into)) {
    const { kind, directoryFd, name, path } = next.value;
    if (kind === 'leave') continue;
    into = written.has(joinPath(directory.path, path));
    if (!into) removeTreeSync(directoryFd, name);
  }
}
