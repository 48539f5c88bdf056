import { constants } from 'node:fs';
import {
  closeFd,
  type FileName,
  type FileStatus,
  getXattrAt,
  listXattrsAt,
  openAt,
  openBeneath,
  READ_FILE,
  readDirectory,
  readInto,
  readLinkAt,
  statusAt,
} from '#linux/index.ts';
import { joinPath } from './entry-path.ts';
import { fromFileName, toFileName } from './file-name.ts';
import type { LowerView } from './lower-view.ts';
import { walkPaths } from './walk-paths.ts';
import { isLayerXattr, isOpaqueAt, isWhiteout } from './whiteouts.ts';

const COMPARE_BYTES = 256 << 10;

export interface Change {
  /** Clean, relative to the root. */
  readonly path: string;
  readonly kind: 'modified' | 'added' | 'deleted';
}

/**
 * What a tree changes of the layers below it. An `upper` tree has only what changed, in an overlay's form; a `complete`
 * one has all, and what is equal in it is no change. A directory is `modified` where it differs itself or anything below
 * it is a change (as `docker diff` has it), and comes before that; one that was merely copied up is not.
 */
export function* treeChanges(treeFd: number, lower: LowerView, form: 'upper' | 'complete'): Generator<Change, void> {
  /** Directories on the way that become changes if something below them is one; by depth. */
  const unsaid: (string | undefined)[] = [];
  /** The depth from which all that lower layers have is hidden. */
  let opaqueFrom = form === 'complete' ? 0 : Number.POSITIVE_INFINITY;

  function* say(path: string, kind: Change['kind']): Generator<Change, void> {
    for (const [depth, directory] of unsaid.entries()) {
      if (directory !== undefined) yield { path: directory, kind: 'modified' };
      unsaid[depth] = undefined;
    }
    yield { path, kind };
  }

  function* missing(directoryFd: number, name: FileName, path: string): Generator<Change, void> {
    const present = namesIn(directoryFd, name);
    for (const hidden of lower.names(path).toSorted())
      if (!present.has(hidden)) yield* say(joinPath(path, hidden), 'deleted');
  }

  if (opaqueFrom === 0) yield* missing(treeFd, '.', '');
  for (const { kind, directoryFd, name, path, directory, depth } of walkPaths(treeFd)) {
    if (kind === 'leave') {
      if (depth === opaqueFrom) opaqueFrom = Number.POSITIVE_INFINITY;
      continue;
    }
    unsaid.length = Math.min(unsaid.length, depth - 1);
    const status = statusAt(directoryFd, name);
    const before = lower.find(path);
    if (form === 'upper' && isWhiteout(status)) {
      if (before !== undefined) yield* say(path, 'deleted');
      continue;
    }
    const bothDirectories = directory && before?.status.type === 'directory';
    const same =
      before !== undefined &&
      sameStatus(status, before.status) &&
      (bothDirectories || form === 'complete') &&
      sameContent(directoryFd, name, before.layerFd, toFileName(path), status);
    if (!same) yield* say(path, before === undefined ? 'added' : 'modified');
    else if (directory) unsaid[depth - 1] = path;
    if (!bothDirectories) continue;
    if (opaqueFrom > depth && isOpaqueAt(directoryFd, name)) opaqueFrom = depth;
    if (depth >= opaqueFrom) yield* missing(directoryFd, name, path);
  }
}

const sameStatus = (a: FileStatus, b: FileStatus): boolean =>
  a.type === b.type &&
  a.mode === b.mode &&
  a.uid === b.uid &&
  a.gid === b.gid &&
  a.mtime.seconds === b.mtime.seconds &&
  a.mtime.nanoseconds === b.mtime.nanoseconds &&
  (a.type === 'directory' || (a.size === b.size && a.rdevMajor === b.rdevMajor && a.rdevMinor === b.rdevMinor));

/** What the status does not say: a link's target, attributes, and bytes (reproducible builds give all files one time). */
function sameContent(aFd: number, a: FileName, bFd: number, b: FileName, { type }: FileStatus): boolean {
  if (type === 'symlink' && fromFileName(readLinkAt(aFd, a)) !== fromFileName(readLinkAt(bFd, b))) return false;
  const [ours, theirs] = [listXattrsAt(aFd, a).filter(isLayerXattr), listXattrsAt(bFd, b).filter(isLayerXattr)];
  return (
    ours.length === theirs.length &&
    ours.every((key) => {
      const [our, their] = [getXattrAt(aFd, a, key), getXattrAt(bFd, b, key)];
      return our !== undefined && their?.equals(our);
    }) &&
    (type !== 'file' || sameBytes(openAt(aFd, a, READ_FILE), openBeneath(bFd, b, READ_FILE)))
  );
}

/** Closes both. */
function sameBytes(aFd: number, bFd: number): boolean {
  const [a, b] = [Buffer.allocUnsafe(COMPARE_BYTES), Buffer.allocUnsafe(COMPARE_BYTES)];
  try {
    for (;;) {
      const [ours, theirs] = [readInto(aFd, a), readInto(bFd, b)];
      if (ours !== theirs || !a.subarray(0, ours).equals(b.subarray(0, theirs))) return false;
      if (ours === 0) return true;
    }
  } finally {
    closeFd(aFd);
    closeFd(bFd);
  }
}

function namesIn(directoryFd: number, name: FileName): ReadonlySet<string> {
  const fd = openAt(directoryFd, name, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return new Set(readDirectory(fd).map((entry) => fromFileName(entry.name)));
  } finally {
    closeFd(fd);
  }
}
