import { constants } from 'node:fs';
import { posix } from 'node:path';
import { GantryError } from '#errors/index.ts';
import {
  check,
  chmodAt,
  chmodFd,
  chownAt,
  chownFd,
  closeFd,
  type FileName,
  type FileStatus,
  findStatusAt,
  kernel,
  makeDirectoryAt,
  makeNodeAt,
  O_PATH,
  openAt,
  setTimesAt,
  setTimesFd,
  setXattr,
  showName,
  symlinkAt,
  unlinkAt,
  writeAll,
} from '#linux/index.ts';
import { bytesOf, xattrsOf } from './file-bytes.ts';
import { changedMode, type ModeChange } from './mode-change.ts';
import { type Selected, type SourceTree, type TreeEntry, walk } from './source-tree.ts';
import { ensureDirectory, isDirectory, type Owner, replaceLinks } from './tree-paths.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_WRONLY } = constants;

/** Where COPY writes: a tree (every path resolved inside it), a path of it, and what files become there. */
export interface Destination {
  readonly root: number;
  /** Absolute, normalised. */
  readonly path: string;
  /** It was written as a directory (with a slash), or several sources make it one. */
  readonly directory: boolean;
  /** It is a plain directory of a diff, which will be a layer that nobody writes to. */
  readonly plain?: boolean;
  /** The directory was made for this copy, and so gets what the source's has. */
  readonly made?: boolean;
  readonly owner?: Owner;
  /** --chmod */
  readonly mode?: ModeChange;
  /** false (--link): a link on the way is replaced by a directory, as if nothing had been there before. */
  readonly throughLinks?: boolean;
  /** --parents: the directories above a source come along. */
  readonly parents?: boolean;
}

/** The directory and the name that one file goes to; the caller closes `fd`. */
export function placeOf(destination: Destination, name: FileName): { fd: number; name: FileName } {
  const { root, path, owner } = destination;
  const merges = destination.throughLinks !== false && isDirectory(root, path);
  if (destination.directory || merges) return { fd: ensureDirectory(root, path, owner).fd, name };
  return { fd: ensureDirectory(root, posix.dirname(path), owner).fd, name: posix.basename(path) };
}

/**
 * Copies selected sources: a directory's content, or a file. Missing directories are made; existing ones are merged
 * into, also through a link that leads to one inside the tree.
 * @throws GantryError invalid where a file and a directory stand in each other's place; exhausted; cancelled
 */
export async function copySelection(
  tree: SourceTree,
  sources: readonly Selected[],
  destination: Destination,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { parents } = destination;
  if (destination.throughLinks === false) replaceLinks(destination.root, destination.path);
  using links = rememberLinks();
  for (const source of sources) {
    const target = parents === true ? belowParents(destination, source) : destination;
    const open: { fd: number; path: string; made: boolean }[] = [];
    const leaf = async (directory: number, name: FileName, entry: TreeEntry) => {
      if (links.link(entry, directory, name)) return;
      await copyLeaf(directory, name, tree, entry, destination, signal);
      links.remember(entry, directory, name);
    };
    try {
      for await (const { step, entry } of walk(tree, source, signal)) {
        const parent = open.at(-1);
        if (step === 'leave') {
          open.pop();
          if (parent === undefined) continue;
          if (parent.made) finishDirectory(parent.fd, tree, entry, destination);
          closeFd(parent.fd);
        } else if (step === 'enter') {
          if (parent === undefined)
            open.push({
              ...ensureDirectory(target.root, target.path, target.owner),
              ...(target.made === undefined ? {} : { made: target.made }),
              path: target.path,
            });
          else open.push(enterDirectory(parent, entry.name, destination));
        } else if (parent === undefined) {
          const place = placeOf(target, entry.name);
          try {
            await leaf(place.fd, place.name, entry);
          } finally {
            closeFd(place.fd);
          }
        } else await leaf(parent.fd, entry.name, entry);
      }
    } finally {
      for (const { fd } of open) closeFd(fd);
    }
  }
}

/** Where one source goes with its parents: a directory at its own path, a file beside its own path's siblings. */
function belowParents(destination: Destination, { path, pivot = '' }: Selected): Destination {
  const kept = pivot === '' ? path : path.slice(pivot.length).replace(/^\/+/, '');
  return { ...destination, path: posix.join(destination.path, kept), directory: false };
}

const AT_FDCWD = -100;
const AT_SYMLINK_FOLLOW = 0x400;
/** Each costs an fd until the copy is done; further names become files of their own. */
const mostRemembered = 512;

/** Names of one file in the source become names of one file in the destination. */
function rememberLinks() {
  const copies = new Map<string, number>();
  const shared = ({ status }: TreeEntry) => status.type === 'file' && status.links > 1;
  return {
    /** Makes `name` a link to the copy of this file, where there is one already. */
    link(entry: TreeEntry, directory: number, name: FileName): boolean {
      const copy = shared(entry) ? copies.get(entry.status.identity) : undefined;
      if (copy === undefined) return false;
      makeRoom(directory, name);
      const made = kernel.call('linkat', AT_FDCWD, `/proc/self/fd/${copy}`, directory, name, AT_SYMLINK_FOLLOW);
      check(made, 'link', showName(name));
      return true;
    },
    remember(entry: TreeEntry, directory: number, name: FileName): void {
      if (shared(entry) && copies.size < mostRemembered)
        copies.set(entry.status.identity, openAt(directory, name, O_PATH));
    },
    [Symbol.dispose]() {
      for (const fd of copies.values()) closeFd(fd);
    },
  };
}

function enterDirectory(
  parent: { fd: number; path: string },
  name: FileName,
  { root, throughLinks = true }: Destination,
) {
  const path = `${parent.path}/${showName(name)}`;
  let existing = findStatusAt(parent.fd, name);
  if (!throughLinks && existing !== undefined && existing.type !== 'directory') {
    unlinkAt(parent.fd, name);
    existing = undefined;
  }
  if (existing === undefined) makeDirectoryAt(parent.fd, name, 0o755);
  else if (existing.type === 'symlink' && isDirectory(root, path))
    return { fd: ensureDirectory(root, path, undefined).fd, path, made: false };
  else if (existing.type !== 'directory')
    throw new GantryError('invalid', `COPY failed: cannot copy a directory over ${path}, which is a ${existing.type}`);
  return { fd: openAt(parent.fd, name, O_RDONLY | O_DIRECTORY), path, made: existing === undefined };
}

const ownerOf = (tree: SourceTree, status: FileStatus, destination: Destination): Owner =>
  destination.owner ?? (tree.keepsOwners ? status : { uid: 0, gid: 0 });

function finishDirectory(fd: number, tree: SourceTree, entry: TreeEntry, destination: Destination): void {
  const { uid, gid } = ownerOf(tree, entry.status, destination);
  chownFd(fd, uid, gid);
  chmodFd(fd, changedMode(entry.status.mode, destination.mode, true));
  const source = entry.open();
  try {
    for (const [name, value] of xattrsOf(source)) setXattr(fd, name, value);
  } finally {
    closeFd(source);
  }
  setTimesFd(fd, entry.status.mtime);
}

/** Takes away what a file is to replace. */
export function makeRoom(directory: number, name: FileName): void {
  const existing = findStatusAt(directory, name);
  if (existing?.type === 'directory')
    throw new GantryError('invalid', `COPY failed: cannot copy a file over the directory ${showName(name)}`);
  if (existing !== undefined) unlinkAt(directory, name);
}

async function copyLeaf(
  directory: number,
  name: FileName,
  tree: SourceTree,
  entry: TreeEntry,
  destination: Destination,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { status } = entry;
  if (status.type === 'socket') return;
  if (status.type === 'unknown' || status.type === 'directory')
    throw new GantryError('invalid', `COPY failed: ${entry.path} is of a type that cannot be copied`);
  makeRoom(directory, name);
  const { uid, gid } = ownerOf(tree, status, destination);
  const mode = changedMode(status.mode, destination.mode, false);
  switch (status.type) {
    case 'symlink':
      symlinkAt(entry.link(), directory, name);
      chownAt(directory, name, uid, gid);
      setTimesAt(directory, name, status.mtime);
      return;
    case 'file': {
      // Another name costs a fraction of another file; the owner and mode are the inode's.
      const same = status.uid === uid && status.gid === gid && status.mode === mode;
      if (tree.linkable === true && destination.plain === true && same && entry.linkAs(directory, name) === 0) return;
      const from = entry.open();
      try {
        await writeFileAt(directory, name, bytesOf(from, status.size, signal), {
          owner: { uid, gid },
          mode,
          mtime: status.mtime,
          xattrs: xattrsOf(from),
        });
      } finally {
        closeFd(from);
      }
      return;
    }
    default: {
      makeNodeAt(directory, name, status.type, 0, status.rdevMajor, status.rdevMinor);
      chownAt(directory, name, uid, gid);
      chmodAt(directory, name, mode);
      setTimesAt(directory, name, status.mtime);
    }
  }
}

/** A new regular file. Owner first, as that clears setuid and capabilities. */
export async function writeFileAt(
  directory: number,
  name: FileName,
  content: AsyncIterable<Uint8Array>,
  facts: {
    readonly owner: Owner;
    readonly mode: number;
    readonly mtime?: FileStatus['mtime'];
    readonly xattrs?: readonly (readonly [string, Uint8Array])[];
  },
): Promise<void> {
  const fd = openAt(directory, name, O_WRONLY | O_CREAT | O_EXCL, 0o600);
  try {
    for await (const chunk of content) writeAll(fd, chunk);
    chownFd(fd, facts.owner.uid, facts.owner.gid);
    chmodFd(fd, facts.mode);
    for (const [attribute, value] of facts.xattrs ?? []) setXattr(fd, attribute, value);
    if (facts.mtime !== undefined) setTimesFd(fd, facts.mtime);
  } finally {
    closeFd(fd);
  }
}
