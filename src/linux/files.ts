import { constants } from 'node:fs';
import { check, kernel } from './kernel.ts';

/**
 * File operations relative to a directory's fd, so that no path of the host is walked while a tree that others wrote is
 * changed. A `name` is one component; only `openBeneath` and `openInRoot` take paths. Nothing here follows a link in
 * the last component. All calls are synchronous, and throw SyscallError (ENOSPC and EDQUOT are `exhausted`).
 */

/** A name of a directory entry: text, or the NUL-terminated bytes of a name that is not UTF-8. */
export type FileName = string | Uint8Array;

export interface Timestamp {
  /** Since the epoch; negative before it. */
  readonly seconds: number;
  readonly nanoseconds: number;
}

export type FileType =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'character-device'
  | 'block-device'
  | 'fifo'
  | 'socket'
  | 'unknown';

export interface FileStatus {
  readonly type: FileType;
  /** The low 12 bits: permissions, setuid, setgid, sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes. */
  readonly size: number;
  /** Bytes on the disk: less where there are holes, more for the rest of the last block. */
  readonly allocated: number;
  readonly links: number;
  readonly mtime: Timestamp;
  /** Of the device that the node stands for. */
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** The same inode has the same text. */
  readonly identity: string;
}

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_EMPTY_PATH = 0x1000;
const O_CLOEXEC = 0o2000000;
/** Only a handle: for paths beneath, not for reading (open(2)). Not in node:fs. */
export const O_PATH = 0o10000000;
const { O_DIRECTORY, O_NOFOLLOW } = constants;
/** For reading what should be a file, and may be a fifo by now, which must not block (open(2)). */
export const READ_FILE = constants.O_RDONLY | constants.O_NONBLOCK;
const RESOLVE_NO_MAGICLINKS = 0x02n;
const RESOLVE_NO_SYMLINKS = 0x04n;
const RESOLVE_BENEATH = 0x08n;
const RESOLVE_IN_ROOT = 0x10n;
const EAGAIN = 11;
/** A rename or mount anywhere on the host raced with a `..`, and the kernel asks to try again (openat2(2)); not for ever. */
const mostTries = 10_000;
const STATX_BASIC_STATS = 0x7ff;

const typeNodes = { file: 0o100000, fifo: 0o10000, 'character-device': 0o20000, 'block-device': 0o60000 } as const;
const fileTypes = new Map<number, FileType>([
  [0o10, 'file'],
  [0o04, 'directory'],
  [0o12, 'symlink'],
  [0o02, 'character-device'],
  [0o06, 'block-device'],
  [0o01, 'fifo'],
  [0o14, 'socket'],
]);
const typeOf = (bits: number): FileType => fileTypes.get(bits) ?? 'unknown';

/** A name for a message. */
export const showName = (name: FileName): string =>
  typeof name === 'string' ? name : Buffer.from(name.subarray(0, -1)).toString('latin1');

function openat2(dirFd: number, path: FileName, flags: number, mode: number, resolve: bigint): number {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(mode), 8);
  how.writeBigUInt64LE(resolve | RESOLVE_NO_MAGICLINKS, 16);
  let fd = 0;
  let tries = 0;
  do fd = kernel.call('openat2', dirFd, path, how, how.length);
  while (fd === -EAGAIN && ++tries < mostTries);
  return fd;
}

/**
 * Opens a path of a tree for reading, or only a handle on it; every link in it is resolved inside the tree (openat2(2)). A
 * fifo that somebody put there does not block: it reads as empty. @throws SyscallError
 */
export function openInRoot(root: number, path: string, kind: 'file' | 'directory' | 'handle'): number {
  const flags = kind === 'directory' ? O_DIRECTORY : kind === 'handle' ? O_PATH : READ_FILE;
  return check(openat2(root, path, flags, 0, RESOLVE_IN_ROOT), 'openat2', path);
}

/**
 * Opens a relative path below a directory; ELOOP where any component of it is a link, EXDEV where `..` leaves it.
 * @returns an fd, or the negated errno
 */
export const tryOpenBeneath = (dirFd: number, path: FileName, flags: number): number =>
  openat2(dirFd, path, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

/** The same. @throws SyscallError */
export const openBeneath = (dirFd: number, path: FileName, flags: number): number =>
  check(tryOpenBeneath(dirFd, path, flags), 'openat2', showName(path));

/** Opens a directory of the host by its path. */
export const openDirectory = (path: string): number =>
  check(kernel.call('openat', AT_FDCWD, path, O_DIRECTORY | O_CLOEXEC), 'open', path);

/** Opens an entry of a directory, never through a link. */
export const openAt = (dirFd: number, name: FileName, flags: number, mode = 0): number =>
  check(kernel.call('openat', dirFd, name, flags | O_NOFOLLOW | O_CLOEXEC, mode), 'open', showName(name));

export const closeFd = (fd: number): void => void kernel.call('close', fd);

export const makeDirectoryAt = (dirFd: number, name: FileName, mode: number): void =>
  void check(kernel.call('mkdirat', dirFd, name, mode), 'mkdir', showName(name));

export const makeNodeAt = (
  dirFd: number,
  name: FileName,
  type: keyof typeof typeNodes,
  mode: number,
  major = 0,
  minor = 0,
): void =>
  void check(
    kernel.call('mknodat', dirFd, name, typeNodes[type] | mode, encodeDevice(major, minor)),
    'mknod',
    showName(name),
  );

/** Linux's encoding of a device's number (include/linux/kdev_t.h: new_encode_dev). */
export const encodeDevice = (major: number, minor: number): number =>
  ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;

export const symlinkAt = (target: FileName, dirFd: number, name: FileName): void =>
  void check(kernel.call('symlinkat', target, dirFd, name), 'symlink', showName(name));

/** A second name of a file (of a link itself, where it is one). */
export const linkAt = (fromFd: number, from: FileName, toFd: number, to: FileName): void =>
  void check(kernel.call('linkat', fromFd, from, toFd, to, 0), 'link', showName(to));

/** Removes what is no directory. */
export const unlinkAt = (dirFd: number, name: FileName): void =>
  void check(kernel.call('unlinkat', dirFd, name, 0), 'unlink', showName(name));

/** Removes an empty directory. */
export const removeDirectoryAt = (dirFd: number, name: FileName): void =>
  void check(kernel.call('unlinkat', dirFd, name, AT_REMOVEDIR), 'rmdir', showName(name));

export const renameAt = (fromFd: number, from: FileName, toFd: number, to: FileName): void =>
  void check(kernel.call('renameat2', fromFd, from, toFd, to, 0), 'rename', `${showName(from)} to ${showName(to)}`);

export const chownAt = (dirFd: number, name: FileName, uid: number, gid: number): void =>
  void check(kernel.call('fchownat', dirFd, name, uid, gid, AT_SYMLINK_NOFOLLOW), 'chown', showName(name));

export const chownFd = (fd: number, uid: number, gid: number): void =>
  void check(kernel.call('fchown', fd, uid, gid), 'fchown', `${uid}:${gid}`);

/** Only for what is known to be no link: fchmodat(2) follows one. */
export const chmodAt = (dirFd: number, name: FileName, mode: number): void =>
  void check(kernel.call('fchmodat', dirFd, name, mode), 'chmod', showName(name));

export const chmodFd = (fd: number, mode: number): void => void check(kernel.call('fchmod', fd, mode), 'fchmod', '');

const times = Buffer.alloc(32);

function encodeTimes(mtime: Timestamp): Buffer {
  for (const at of [0, 16]) {
    times.writeBigInt64LE(BigInt(mtime.seconds), at);
    times.writeBigInt64LE(BigInt(mtime.nanoseconds), at + 8);
  }
  return times;
}

/** Sets modification and access time of an entry. */
export const setTimesAt = (dirFd: number, name: FileName, mtime: Timestamp): void =>
  void check(
    kernel.call('utimensat', dirFd, name, encodeTimes(mtime), AT_SYMLINK_NOFOLLOW),
    'utimensat',
    showName(name),
  );

export const setTimesFd = (fd: number, mtime: Timestamp): void =>
  void check(kernel.call('utimensat', fd, null, encodeTimes(mtime), 0), 'utimensat', '');

const statxBuffer = Buffer.alloc(256);

/** The status of an entry itself, or undefined where there is none. */
export function findStatusAt(dirFd: number, name: FileName): FileStatus | undefined {
  const flags = AT_SYMLINK_NOFOLLOW | (name === '' ? AT_EMPTY_PATH : 0);
  const result = kernel.call('statx', dirFd, name, flags, STATX_BASIC_STATS, statxBuffer);
  if (result === -ENOENT || result === -ENOTDIR) return undefined;
  check(result, 'statx', showName(name));
  const b = statxBuffer;
  const u64 = (at: number): number => b.readUInt32LE(at) + b.readUInt32LE(at + 4) * 2 ** 32;
  const bits = b.readUInt16LE(28);
  return {
    type: typeOf(bits >> 12),
    mode: bits & 0o7777,
    links: b.readUInt32LE(16),
    uid: b.readUInt32LE(20),
    gid: b.readUInt32LE(24),
    size: u64(40),
    allocated: u64(48) * 512,
    mtime: { seconds: Number(b.readBigInt64LE(112)), nanoseconds: b.readUInt32LE(120) },
    rdevMajor: b.readUInt32LE(128),
    rdevMinor: b.readUInt32LE(132),
    identity: `${b.readUInt32LE(136)}:${b.readUInt32LE(140)}:${u64(32)}`,
  };
}

/** The file system that an fd lies in: its magic (statfs(2)), and whether it may be written through this mount. */
export function fileSystemOf(fd: number): { readonly magic: number; readonly readOnly: boolean } {
  const buffer = Buffer.alloc(120);
  check(kernel.call('fstatfs', fd, buffer), 'fstatfs', '');
  return { magic: Number(buffer.readBigUInt64LE(0)), readOnly: (buffer.readUInt32LE(80) & 1) !== 0 };
}

const ENOENT = 2;
const ENOTDIR = 20;

/** The status of an entry itself. @throws SyscallError */
export function statusAt(dirFd: number, name: FileName): FileStatus {
  const status = findStatusAt(dirFd, name);
  if (status === undefined) return check(-ENOENT, 'statx', showName(name)) as never;
  return status;
}

/** The status of what an fd stands for. */
export const statusOf = (fd: number): FileStatus => statusAt(fd, '');

export interface DirectoryEntry {
  readonly name: FileName;
  /** `unknown` on file systems that do not say. */
  readonly type: FileType;
}

const entriesBuffer = Buffer.alloc(64 * 1024);

/** Every entry but `.` and `..`, in no order, from the start of the directory. `fd` is open for reading. */
export function readDirectory(fd: number): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [];
  check(kernel.call('lseek', fd, 0, 0), 'lseek', 'a directory');
  for (;;) {
    const length = check(
      kernel.call('getdents64', fd, entriesBuffer, entriesBuffer.length),
      'getdents64',
      'a directory',
    );
    if (length === 0) return entries;
    for (let at = 0; at < length; ) {
      const next = at + entriesBuffer.readUInt16LE(at + 16);
      const end = entriesBuffer.indexOf(0, at + 19);
      const name = nameOf(entriesBuffer.subarray(at + 19, end));
      if (name !== '.' && name !== '..') entries.push({ name, type: typeOf(entriesBuffer.readUInt8(at + 18)) });
      at = next;
    }
  }
}

/** Bytes of a name as text, or NUL-terminated where they are not UTF-8. */
function nameOf(bytes: Buffer): FileName {
  const text = bytes.toString('utf8');
  if (!text.includes('\ufffd') || Buffer.from(text).equals(bytes)) return text;
  return Buffer.concat([bytes, Buffer.of(0)]);
}

export function readLinkAt(dirFd: number, name: FileName): FileName {
  const buffer = Buffer.alloc(4096);
  const length = check(kernel.call('readlinkat', dirFd, name, buffer, buffer.length), 'readlink', showName(name));
  return nameOf(buffer.subarray(0, length));
}

/** Writes all of it. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let rest = bytes; rest.length > 0; )
    rest = rest.subarray(check(kernel.call('write', fd, rest, rest.length), 'write', `${rest.length} bytes`));
}

/** Reads up to a buffer's length; 0 at the end. */
export const readInto = (fd: number, buffer: Uint8Array): number =>
  check(kernel.call('read', fd, buffer, buffer.length), 'read', '');

/** Makes a file's or directory's content durable. Blocks a pool thread, not the caller's. */
export const syncFd = async (fd: number): Promise<void> => void check(await kernel.callAsync('fsync', fd), 'fsync', '');

/** Makes all of an fd's file system durable. Blocks a pool thread, not the caller's. */
export const syncFileSystem = async (fd: number): Promise<void> =>
  void check(await kernel.callAsync('syncfs', fd), 'syncfs', '');
