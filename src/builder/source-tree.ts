import { constants } from 'node:fs';
import { posix } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { compileGlob, globMatches, hasWildcard } from '#dockerfile/index.ts';
import { GantryError, throwIfAborted } from '#errors/index.ts';
import {
  closeFd,
  type FileName,
  type FileStatus,
  findStatusAt,
  kernel,
  openAt,
  readDirectory,
  readLinkAt,
  showName,
  statusOf,
} from '#linux/index.ts';
import type { Ignore } from './ignore.ts';
import { findInRoot, reopen } from './tree-paths.ts';

const { O_DIRECTORY, O_NONBLOCK, O_RDONLY } = constants;
const AT_FDCWD = -100;
const AT_SYMLINK_FOLLOW = 0x400;

/** A tree that files are copied from. It does not change while it is read. */
export interface SourceTree {
  /** Directory fd. */
  readonly root: number;
  readonly ignore: Ignore;
  /** Nobody changes its files any more, and they lie on the disk of the layers: a copy may be another name of the same file. */
  readonly linkable?: boolean;
  /** Files keep their owners (stages, images); those of a context are root's. */
  readonly keepsOwners: boolean;
  /** What is known of its regular files, none of which has extended attributes: SHA-256 in hex, by a status's `identity`. */
  readonly digests?: {
    find(identity: string): string | undefined;
    note(identity: string, digest: string): void;
  };
  /** As messages call it. */
  readonly called: string;
}

/** A source as matched: the path in the tree, and the name it gets in a destination directory. */
export interface Selected {
  readonly path: string;
  readonly name: FileName;
  /** With --parents: the first part of the path, up to `/./`, which does not come along. */
  readonly pivot?: string;
  /** Left out of this source (`--exclude`): paths below it, or its own name where it is a file. */
  readonly excludes?: (path: string) => boolean;
}

export interface TreeEntry {
  /** Relative to the selected source; '' is the source itself. */
  readonly path: string;
  readonly name: FileName;
  readonly status: FileStatus;
  /** An fd of a regular file's or directory's content; the caller closes it. */
  open(): number;
  /** The target of a symbolic link. */
  link(): FileName;
  /** Gives the file another name. @returns 0 or the negated errno, as linkat(2) */
  linkAs(directory: number, name: FileName): number;
}

/** A directory is entered, then what is in it comes, then it is left. */
export interface WalkStep {
  readonly step: 'enter' | 'leaf' | 'leave';
  readonly entry: TreeEntry;
}

const join = (directory: string, name: string) => (directory === '' ? name : `${directory}/${name}`);

/**
 * The paths that COPY's sources name, in order. A source without wildcards must exist.
 * @throws GantryError invalid, in Docker's words
 */
export function selectSources(tree: SourceTree, patterns: readonly string[]): readonly Selected[] {
  const selected = patterns.flatMap((pattern) => {
    const clean = posix.normalize(pattern).replace(/^\/+/, '').replace(/\/+$/, '');
    if (clean === '..' || clean.startsWith('../'))
      throw new GantryError('invalid', `COPY failed: forbidden path outside the ${tree.called}: ${pattern}`);
    const path = clean === '.' ? '' : clean;
    const pivoted = { pivot: pivotOf(pattern) };
    if (hasWildcard(path)) return matches(tree, path).map((found) => ({ ...found, ...pivoted }));
    const handle = findInRoot(tree.root, path);
    if (handle === undefined || (tree.ignore.ignores(path) && !tree.ignore.hasExceptions)) {
      if (handle !== undefined) closeFd(handle);
      throw missing(tree, pattern);
    }
    closeFd(handle);
    return [{ path, name: posix.basename(path), ...pivoted }];
  });
  if (selected.length === 0)
    throw new GantryError(
      'invalid',
      `COPY failed: no source files were specified: ${patterns.map((p) => `"${p}"`).join(', ')} matches nothing in the ${tree.called}`,
      { code: 'no-source-files' },
    );
  return selected;
}

/** What of a pattern comes before `/./`. Without wildcards there; it is a prefix of the path. */
function pivotOf(pattern: string): string {
  const at = pattern.lastIndexOf('/./');
  return at <= 0
    ? ''
    : posix
        .normalize(pattern.slice(0, at))
        .replace(/^\.?\/+/, '')
        .replace(/^\.$/, '');
}

const missing = (tree: SourceTree, pattern: string) =>
  new GantryError(
    'invalid',
    tree.ignore.empty
      ? `COPY failed: file not found in ${tree.called}: stat ${pattern}: file does not exist`
      : `COPY failed: file not found in ${tree.called} or excluded by .dockerignore: stat ${pattern}: file does not exist`,
    { code: 'source-not-found' },
  );

/** Go's filepath.Match, component by component. */
function matches(tree: SourceTree, pattern: string): readonly Selected[] {
  let found = [''];
  for (const component of pattern.split('/')) {
    if (component === '**') {
      found = found.flatMap((path) => [path, ...directoriesBelow(tree.root, path)]);
      continue;
    }
    if (!hasWildcard(component)) {
      found = found.map((path) => join(path, component));
      continue;
    }
    const glob = compileGlob(component);
    found = found.flatMap((path) =>
      namesIn(tree.root, path)
        .filter((name) => globMatches(glob, name))
        .map((name) => join(path, name)),
    );
  }
  return found
    .filter((path) => {
      if (tree.ignore.ignores(path) && !tree.ignore.hasExceptions) return false;
      const handle = findInRoot(tree.root, path);
      if (handle !== undefined) closeFd(handle);
      return handle !== undefined;
    })
    .map((path) => ({ path, name: posix.basename(path) }));
}

function directoriesBelow(root: number, path: string): readonly string[] {
  return namesIn(root, path)
    .map((name) => join(path, name))
    .filter((below) => isPlainDirectory(root, below))
    .flatMap((below) => [below, ...directoriesBelow(root, below)]);
}

/** A link to a directory is none: it may lead back up. */
function isPlainDirectory(root: number, path: string): boolean {
  const handle = findInRoot(root, posix.dirname(path));
  if (handle === undefined) return false;
  try {
    return findStatusAt(handle, posix.basename(path))?.type === 'directory';
  } finally {
    closeFd(handle);
  }
}

function namesIn(root: number, path: string): readonly string[] {
  const handle = findInRoot(root, path);
  if (handle === undefined) return [];
  try {
    if (statusOf(handle).type !== 'directory') return [];
    const fd = reopen(handle, O_DIRECTORY);
    try {
      return readDirectory(fd)
        .flatMap(({ name }) => (typeof name === 'string' ? [name] : []))
        .sort();
    } finally {
      closeFd(fd);
    }
  } finally {
    closeFd(handle);
  }
}

interface Frame {
  readonly fd: number;
  readonly entry: TreeEntry;
  readonly names: FileName[];
  entered: boolean;
}

const sorted = (fd: number): FileName[] =>
  readDirectory(fd)
    .map(({ name }) => name)
    .sort((a, b) => (showName(a) < showName(b) ? 1 : -1));

/**
 * Everything of one selected source that is not ignored, in a stable order. The source itself may be a link (it is
 * followed inside the tree); links below it are entries. An ignored directory is entered only for an exception in it.
 */
export async function* walk(
  tree: SourceTree,
  source: Selected,
  signal: AbortSignal | undefined,
): AsyncGenerator<WalkStep, void> {
  const handle = findInRoot(tree.root, source.path);
  if (handle === undefined) throw missing(tree, source.path);
  const frames: Frame[] = [];
  const excluded = source.excludes ?? (() => false);
  const ignored = (path: string) => !tree.ignore.empty && path !== '' && tree.ignore.ignores(path);
  try {
    const status = statusOf(handle);
    const top: TreeEntry = {
      path: '',
      name: source.name,
      status,
      open: () => reopen(handle),
      link: () => readLinkAt(handle, ''),
      linkAs: (directory, name) =>
        kernel.call('linkat', AT_FDCWD, `/proc/self/fd/${handle}`, directory, name, AT_SYMLINK_FOLLOW),
    };
    if (status.type !== 'directory') {
      if (!ignored(source.path) && !excluded(showName(source.name))) yield { step: 'leaf', entry: top };
      return;
    }
    const enterPending = function* (): Generator<WalkStep> {
      for (const frame of frames) {
        if (!frame.entered) yield { step: 'enter', entry: frame.entry };
        frame.entered = true;
      }
    };
    const push = (entry: TreeEntry, fd: number) => frames.push({ fd, entry, names: sorted(fd), entered: false });
    push(top, reopen(handle, O_DIRECTORY));
    if (!ignored(source.path)) yield* enterPending();
    for (let count = 1; ; count++) {
      const frame = frames.at(-1);
      if (frame === undefined) break;
      const name = frame.names.pop();
      if (name === undefined) {
        if (frame.entered) yield { step: 'leave', entry: frame.entry };
        frames.pop();
        closeFd(frame.fd);
        continue;
      }
      if (count % 256 === 0) {
        await setImmediate();
        throwIfAborted(signal);
      }
      const path = join(frame.entry.path, showName(name));
      if (excluded(path)) continue;
      const skip = ignored(join(source.path, path));
      const found = findStatusAt(frame.fd, name);
      if (found === undefined) continue;
      const entry: TreeEntry = {
        path,
        name,
        status: found,
        open: () => openAt(frame.fd, name, O_RDONLY | O_NONBLOCK),
        link: () => readLinkAt(frame.fd, name),
        linkAs: (directory, as) => kernel.call('linkat', frame.fd, name, directory, as, 0),
      };
      if (found.type === 'directory') {
        if (skip && !tree.ignore.hasExceptions) continue;
        push(entry, openAt(frame.fd, name, O_RDONLY | O_DIRECTORY));
        if (!skip) yield* enterPending();
      } else if (!skip) {
        yield* enterPending();
        yield { step: 'leaf', entry };
      }
    }
  } finally {
    for (const frame of frames) closeFd(frame.fd);
    closeFd(handle);
  }
}
