import { constants } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import {
  chmodAt,
  chmodFd,
  chownAt,
  chownFd,
  closeFd,
  type FileStatus,
  makeDirectoryAt,
  makeNodeAt,
  openAt,
  removeTreeSync,
  SyscallError,
  setTimesAt,
  setXattr,
  setXattrAt,
  symlinkAt,
} from '#linux/index.ts';
import type { TarHeader } from '#tar/index.ts';
import { toFileName } from './file-name.ts';
import type { OpenDirectory } from './parent-walk.ts';
import { isLayerXattr, makeOpaque } from './whiteouts.ts';

/** Makes single entries of a tree; what is in the way is replaced. */

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

const { O_WRONLY, O_CREAT, O_EXCL, O_RDONLY, O_DIRECTORY } = constants;
export const OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY;

/** A new empty file, open for writing; `setMetadata` comes after its content. */
export function createFile(at: OpenDirectory, name: string): number {
  return replacing(at, name, () => openAt(at.fd, toFileName(name), O_WRONLY | O_CREAT | O_EXCL, 0o600));
}

/** A symlink, device or fifo with all its metadata. */
export function makeSpecial(at: OpenDirectory, name: string, header: TarHeader, owner: Owner): void {
  const kernelName = toFileName(name);
  const { type, linkName, major, minor, mode, mtime } = header;
  if (type === 'symlink') {
    if (linkName === '') throw new GantryError('corrupt', 'a symlink to nothing');
    replacing(at, name, () => symlinkAt(toFileName(linkName), at.fd, kernelName));
  } else if (type === 'character-device' || type === 'block-device' || type === 'fifo')
    replacing(at, name, () => makeNodeAt(at.fd, kernelName, type, 0o600, major, minor));
  else throw new GantryError('internal', `a ${type} is made elsewhere`);
  chownAt(at.fd, kernelName, owner.uid, owner.gid);
  if (type !== 'symlink') chmodAt(at.fd, kernelName, mode);
  // The kernel has user.* on files and directories only (xattr(7)).
  for (const [key, value] of header.xattrs)
    if (isLayerXattr(key) && !key.startsWith('user.')) setXattrAt(at.fd, kernelName, key, value);
  setTimesAt(at.fd, kernelName, mtime);
}

/** Owner before mode, since chown clears setuid; attributes after both, since chown clears capabilities. */
export function setMetadata(fd: number, header: Pick<TarHeader, 'mode' | 'xattrs'>, owner: Owner): void {
  chownFd(fd, owner.uid, owner.gid);
  chmodFd(fd, header.mode);
  for (const [key, value] of header.xattrs) if (isLayerXattr(key)) setXattr(fd, key, value);
}

/**
 * Makes sure that there is a directory. One that replaces something else hides what lower
 * layers of an overlay have in its place (`opaque`), as that did.
 */
export function ensureDirectory(
  at: OpenDirectory,
  name: string,
  existing: FileStatus | undefined,
  opaque: boolean,
): void {
  if (existing?.type === 'directory') return;
  const kernelName = toFileName(name);
  if (existing !== undefined) removeTreeSync(at.fd, kernelName);
  makeDirectoryAt(at.fd, kernelName, 0o755);
  if (existing !== undefined && opaque) withDirectory(at, name, makeOpaque);
}

export function withDirectory(at: OpenDirectory, name: string, use: (fd: number) => void): void {
  const fd = openAt(at.fd, toFileName(name), OPEN_DIRECTORY);
  try {
    use(fd);
  } finally {
    closeFd(fd);
  }
}

const EEXIST = 17;

/** Tries; where something has the name, removes it with all below and tries again. */
export function replacing<T>(at: OpenDirectory, name: string, create: () => T): T {
  try {
    return create();
  } catch (error) {
    if (!(error instanceof SyscallError) || error.errno !== EEXIST) throw error;
    removeTreeSync(at.fd, toFileName(name));
    return create();
  }
}
