import type { FileName } from './files.ts';
import { check, kernel } from './kernel.ts';

/** Extended attributes (xattr(7)) of entries, never through a link in the last component. */

const ENODATA = 61;
const ENOTSUP = 95;
const ERANGE = 34;

/**
 * There is no `*xattrat` before Linux 6.13, so an entry is named through its directory's fd. The magic link leads to
 * that very directory, whatever its path is by now.
 */
function pathAt(dirFd: number, name: FileName): FileName {
  const prefix = `/proc/self/fd/${dirFd}/`;
  return typeof name === 'string' ? prefix + name : Buffer.concat([Buffer.from(prefix), name]);
}

/** Calls with a buffer that grows until the value fits. */
function readGrowing(call: (buffer: Buffer) => number, syscall: string, about: string): Buffer | undefined {
  for (let size = 1024; ; size *= 8) {
    const buffer = Buffer.alloc(size);
    const length = call(buffer);
    if (length === -ENODATA || length === -ENOTSUP) return undefined;
    if (length === -ERANGE && size < 65_536) continue;
    return buffer.subarray(0, check(length, syscall, about));
  }
}

const splitNames = (list: Buffer | undefined): readonly string[] =>
  list === undefined || list.length === 0 ? [] : list.toString('utf8', 0, list.length - 1).split('\0');

/** The attributes' names; none where the file system has no attributes. */
export function listXattrsAt(dirFd: number, name: FileName): readonly string[] {
  const path = pathAt(dirFd, name);
  return splitNames(readGrowing((b) => kernel.call('llistxattr', path, b, b.length), 'llistxattr', 'attributes'));
}

/** A value, or undefined where the attribute is not set. */
export function getXattrAt(dirFd: number, name: FileName, attribute: string): Buffer | undefined {
  const path = pathAt(dirFd, name);
  return readGrowing((b) => kernel.call('lgetxattr', path, attribute, b, b.length), 'lgetxattr', attribute);
}

export function setXattrAt(dirFd: number, name: FileName, attribute: string, value: Uint8Array): void {
  check(kernel.call('lsetxattr', pathAt(dirFd, name), attribute, value, value.length, 0), 'lsetxattr', attribute);
}

export const listXattrs = (fd: number): readonly string[] =>
  splitNames(readGrowing((b) => kernel.call('flistxattr', fd, b, b.length), 'flistxattr', 'attributes'));

export const getXattr = (fd: number, attribute: string): Buffer | undefined =>
  readGrowing((b) => kernel.call('fgetxattr', fd, attribute, b, b.length), 'fgetxattr', attribute);

export const setXattr = (fd: number, attribute: string, value: Uint8Array): void =>
  void check(kernel.call('fsetxattr', fd, attribute, value, value.length, 0), 'fsetxattr', attribute);

export const removeXattr = (fd: number, attribute: string): void =>
  void check(kernel.call('fremovexattr', fd, attribute), 'fremovexattr', attribute);
