import { constants } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { GantryError } from '#errors/index.ts';
import {
  check,
  chownAt,
  closeFd,
  findStatusAt,
  kernel,
  makeDirectoryAt,
  O_PATH,
  openAt,
  readLinkAt,
  showName,
  statusOf,
  unlinkAt,
} from '#linux/index.ts';

const { O_DIRECTORY, O_RDONLY, O_NONBLOCK } = constants;
const AT_FDCWD = -100;
const O_CLOEXEC = 0o2000000;
const RESOLVE_NO_MAGICLINKS = 0x02n;
const RESOLVE_IN_ROOT = 0x10n;
const ENOENT = 2;
const ENOTDIR = 20;
const ELOOP = 40;
const mostLinks = 40;
const mostText = 4 * 1024 * 1024;

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * A handle (O_PATH) of what a path of a tree leads to, every link on the way resolved inside the tree (openat2(2)); or
 * undefined. Unlike opening, taking a handle never blocks on a FIFO and never touches a device. The caller closes it.
 */
export function findInRoot(root: number, path: string): number | undefined {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(O_PATH | O_CLOEXEC), 0);
  how.writeBigUInt64LE(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS, 16);
  const fd = kernel.call('openat2', root, path === '' ? '.' : path, how, how.length);
  return fd === -ENOENT || fd === -ENOTDIR || fd === -ELOOP ? undefined : check(fd, 'openat2', path);
}

/** Opens for reading what a handle stands for. Only for regular files and directories. */
export const reopen = (handle: number, flags = 0): number =>
  check(
    kernel.call('openat', AT_FDCWD, `/proc/self/fd/${handle}`, O_RDONLY | O_NONBLOCK | O_CLOEXEC | flags, 0),
    'open',
    'a handle',
  );

/**
 * A text file of a tree, or undefined where the path leads to no regular file.
 * @throws GantryError invalid where it is larger than `most`, 4 MiB by default
 */
export async function readTextInRoot(root: number, path: string, most = mostText): Promise<string | undefined> {
  const handle = findInRoot(root, path);
  if (handle === undefined) return undefined;
  try {
    const { type, size } = statusOf(handle);
    if (type !== 'file') return undefined;
    if (size > most) throw new GantryError('invalid', `${path} has ${size} bytes; at most ${most} are read`);
    return await readFile(`/proc/self/fd/${handle}`, 'utf8');
  } finally {
    closeFd(handle);
  }
}

/**
 * Opens a directory of a tree for writing below it, making what is missing (mode 0755, `owner` or root). Links are
 * resolved inside the tree, also those that lead to nothing yet.
 * @returns its fd, and whether the last component was made
 * @throws GantryError invalid where a component is no directory
 */
export function ensureDirectory(root: number, path: string, owner: Owner | undefined): { fd: number; made: boolean } {
  const queue = path.split('/');
  let reached = '.';
  let made = false;
  let links = 0;
  let fd = openAt(root, '.', O_RDONLY | O_DIRECTORY);
  try {
    for (let component = queue.shift(); component !== undefined; component = queue.shift()) {
      if (component === '' || component === '.') continue;
      const next = `${reached}/${component}`;
      let handle = findInRoot(root, next);
      made = false;
      if (handle === undefined) {
        const found = findStatusAt(fd, component);
        if (found?.type === 'symlink') {
          const target = showName(readLinkAt(fd, component));
          if (++links > mostLinks) throw new GantryError('invalid', `${path}: too many links on the way`);
          queue.unshift(...target.split('/'));
          if (!target.startsWith('/')) continue;
          reached = '.';
          closeFd(fd);
          fd = openAt(root, '.', O_RDONLY | O_DIRECTORY);
          continue;
        }
        if (found !== undefined) throw notADirectory(path, next);
        makeDirectoryAt(fd, component, 0o755);
        if (owner !== undefined) chownAt(fd, component, owner.uid, owner.gid);
        made = true;
        handle = findInRoot(root, next);
        if (handle === undefined) throw new GantryError('internal', `${next} vanished while it was made`);
      }
      try {
        if (statusOf(handle).type !== 'directory') throw notADirectory(path, next);
        const opened = reopen(handle, O_DIRECTORY);
        closeFd(fd);
        fd = opened;
      } finally {
        closeFd(handle);
      }
      reached = next;
    }
    return { fd, made };
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

const notADirectory = (path: string, component: string) =>
  new GantryError(
    'invalid',
    `cannot make the directory ${path}: ${posix.normalize(`/${component}`)} is not a directory`,
  );

/** Whether a path of a tree leads to a directory. */
export function isDirectory(root: number, path: string): boolean {
  const handle = findInRoot(root, path);
  if (handle === undefined) return false;
  try {
    return statusOf(handle).type === 'directory';
  } finally {
    closeFd(handle);
  }
}

/** Takes away the links among the components of a path, so that directories can stand in their places. */
export function replaceLinks(root: number, path: string): void {
  let above = '/';
  for (const component of path.split('/').filter((part) => part !== '')) {
    const parent = findInRoot(root, above);
    if (parent === undefined) return;
    try {
      if (findStatusAt(parent, component)?.type === 'symlink') unlinkAt(parent, component);
    } finally {
      closeFd(parent);
    }
    above = posix.join(above, component);
  }
}
