import { constants } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { GantryError } from '#errors/index.ts';
import {
  closeFd,
  type FileName,
  openAt,
  readDirectory,
  removeDirectoryAt,
  statusAt,
  statusOf,
  unlinkAt,
} from './files.ts';

/** A step of a walk. `directoryFd` is the directory that holds `name`; it is open only until the walk goes on. */
export interface WalkStep {
  /** `leave` comes for a directory when all below it has been walked. */
  readonly kind: 'entry' | 'leave';
  readonly directoryFd: number;
  readonly name: FileName;
  readonly directory: boolean;
  /** 1 for the entries of the root. */
  readonly depth: number;
}

export interface WalkOptions {
  /** Entries of a directory in this order; unordered where absent. */
  readonly compare?: (a: FileName, b: FileName) => number;
}

interface Level {
  readonly names: readonly { readonly name: FileName; readonly type: string }[];
  next: number;
  /** The directory's own name above, and who it is. */
  readonly name: FileName;
  readonly identity: string;
}

/**
 * Walks all below a directory, directories before what they hold. Links are entries, never followed; the tree may be of
 * any depth: there is no recursion, and one fd is open, since the way up is `..` (and checked to lead where it came from).
 * `next(false)` after the `entry` of a directory does not go into it; then there is no `leave` either.
 * @throws SyscallError; GantryError conflict where the tree is moved about meanwhile
 */
export function* walkTree(rootFd: number, options: WalkOptions = {}): Generator<WalkStep, void, boolean | undefined> {
  const level = (fd: number, name: FileName): Level => {
    const names = readDirectory(fd);
    const { compare } = options;
    if (compare !== undefined) names.sort((a, b) => compare(a.name, b.name));
    return { names, next: 0, name, identity: statusOf(fd).identity };
  };
  let fd = openAt(rootFd, '.', constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const levels: Level[] = [level(fd, '.')];
    for (;;) {
      const current = levels.at(-1);
      if (current === undefined) return;
      const entry = current.names[current.next++];
      if (entry === undefined) {
        levels.pop();
        const parent = levels.at(-1);
        if (parent === undefined) return;
        fd = goTo(fd, '..');
        if (statusOf(fd).identity !== parent.identity)
          throw new GantryError('conflict', 'a directory was moved while its tree was read; try again');
        yield { kind: 'leave', directoryFd: fd, name: current.name, directory: true, depth: levels.length };
        continue;
      }
      const { name } = entry;
      const type = entry.type === 'unknown' ? statusAt(fd, name).type : entry.type;
      const directory = type === 'directory';
      const into = yield { kind: 'entry', directoryFd: fd, name, directory, depth: levels.length };
      if (!directory || into === false) continue;
      fd = goTo(fd, name);
      levels.push(level(fd, name));
    }
  } finally {
    closeFd(fd);
  }
}

function goTo(fd: number, name: FileName): number {
  const next = openAt(fd, name, constants.O_RDONLY | constants.O_DIRECTORY);
  closeFd(fd);
  return next;
}

/** Removes an entry and all below it, at once. */
export function removeTreeSync(directoryFd: number, name: FileName): void {
  for (const _ of removing(directoryFd, name));
}

/** The same in slices of a few milliseconds, so that a large tree does not hold the event loop. */
export async function removeTree(directoryFd: number, name: FileName): Promise<void> {
  let until = performance.now() + 5;
  for (const _ of removing(directoryFd, name)) {
    if (performance.now() < until) continue;
    await setImmediate();
    until = performance.now() + 5;
  }
}

function* removing(directoryFd: number, name: FileName): Generator<void, void> {
  if (statusAt(directoryFd, name).type !== 'directory') {
    unlinkAt(directoryFd, name);
    return;
  }
  const fd = openAt(directoryFd, name, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for (const step of walkTree(fd)) {
      if (step.kind === 'leave') removeDirectoryAt(step.directoryFd, step.name);
      else if (!step.directory) unlinkAt(step.directoryFd, step.name);
      yield;
    }
  } finally {
    closeFd(fd);
  }
  removeDirectoryAt(directoryFd, name);
}
