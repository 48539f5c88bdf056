import { constants } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import {
  check,
  closeFd,
  type FileStatus,
  findStatusAt,
  openAt,
  openBeneath,
  readLinkAt,
  tryOpenBeneath,
} from '#linux/index.ts';
import { directoryOf, joinPath } from './entry-path.ts';
import { fromFileName, toFileName } from './file-name.ts';

const ENOENT = 2;
const ENOTDIR = 20;
const ELOOP = 40;
const MAX_LINKS = 40; // as the kernel
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY;

/** An open directory of the tree, and its path without links. */
export interface OpenDirectory {
  readonly fd: number;
  readonly path: string;
}

/**
 * Makes a directory that the way needs, where there is nothing, or what is neither directory nor link.
 * @throws GantryError where it may not be
 */
export type MakeDirectory = (parent: OpenDirectory, name: string, existing: FileStatus | undefined) => void;

const refuse: MakeDirectory = (parent, name, existing) => {
  const path = joinPath(parent.path, name);
  throw existing === undefined
    ? new GantryError('not-found', `"${path}" does not exist`)
    : new GantryError('invalid', `"${path}" is no directory, so nothing can be below it`);
};

/**
 * Opens the directory at a clean path below `rootFd`. A link on the way is resolved inside the root, as in a chroot; the
 * walk itself opens one component at a time and never follows one.
 * @throws GantryError not-found, invalid (a file on the way, too many links); SyscallError
 */
export function openDirectoryInRoot(rootFd: number, path: string, make: MakeDirectory = refuse): OpenDirectory {
  const direct = tryOpenBeneath(rootFd, path === '' ? '.' : toFileName(path), DIRECTORY);
  if (direct >= 0) return { fd: direct, path };
  if (direct !== -ENOENT && direct !== -ELOOP && direct !== -ENOTDIR) check(direct, 'openat2', path);
  return walk(rootFd, path, make);
}

function walk(rootFd: number, path: string, make: MakeDirectory): OpenDirectory {
  const open = (at: string): OpenDirectory => ({
    fd: openBeneath(rootFd, at === '' ? '.' : toFileName(at), DIRECTORY),
    path: at,
  });
  const pending = path.split('/').reverse();
  let current = open('');
  let links = 0;
  const moveTo = (next: OpenDirectory): void => {
    closeFd(current.fd);
    current = next;
  };
  try {
    for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        moveTo(open(directoryOf(current.path)));
        continue;
      }
      const name = toFileName(part);
      const status = findStatusAt(current.fd, name);
      if (status?.type === 'symlink') {
        if (++links > MAX_LINKS)
          throw new GantryError('invalid', `"${path}" leads through more than ${MAX_LINKS} links`);
        const target = fromFileName(readLinkAt(current.fd, name));
        if (target.startsWith('/')) moveTo(open(''));
        pending.push(...target.split('/').reverse());
        continue;
      }
      if (status?.type !== 'directory') make(current, part, status);
      moveTo({ fd: openAt(current.fd, name, DIRECTORY), path: joinPath(current.path, part) });
    }
    return current;
  } catch (error) {
    closeFd(current.fd);
    throw error;
  }
}
