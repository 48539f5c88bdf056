import { GantryError } from '#errors/index.ts';
import { check, kernel } from './kernel.ts';

/** The part of a mount that a root filesystem needs; an OCI mount fits. */
export interface RootMount {
  readonly type?: string;
  readonly source?: string;
  readonly options?: readonly string[];
}

const AT_FDCWD = -100;
const AT_RECURSIVE = 0x8000;
const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0o2000000;
const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const fsconfig = { flag: 0, string: 1, create: 6 } as const;
const MOUNT_ATTR_RDONLY = 1;
const MOUNT_ATTR_NOSUID = 2;
const MOUNT_ATTR_NODEV = 4;
const MOUNT_ATTR_NOEXEC = 8;
const inert = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
const AT_EMPTY_PATH = 0x1000;
const MS_PRIVATE = 1n << 18n;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
const EINVAL = 22;

/** Splits an overlay's `lowerdir=a:b`; `\:` is a colon of a name (overlayfs.rst). */
const lowerDirectories = (text: string): readonly string[] =>
  text.split(/(?<!\\):/).map((path) => path.replaceAll('\\:', ':').replaceAll('\\\\', '\\'));

/**
 * Mounts a root filesystem without attaching it anywhere: the fd is the only way to it, and closing the fd unmounts it
 * (fsopen(2), open_tree(2)). Nothing can leak into a mount table. No device or program in it can be used.
 * @throws SyscallError, GantryError unsupported for a mount that is neither overlay nor bind
 */
export function mountDetached(mounts: readonly RootMount[]): number {
  const [root, ...more] = mounts;
  if (root === undefined || more.length > 0)
    throw new GantryError('unsupported', `a root filesystem of ${mounts.length} mounts cannot be looked into`);
  if (root.type === 'bind') return copyMount(root.source ?? '');
  if (root.type !== 'overlay')
    throw new GantryError('unsupported', `a root filesystem of type ${root.type} cannot be looked into`);
  return mountFilesystem('overlay', inert, (fs) => {
    const set = (key: string, value: string) => setString(fs, key, value);
    for (const option of root.options ?? []) {
      const at = option.indexOf('=');
      const [key, value] = at < 0 ? [option, undefined] : [option.slice(0, at), option.slice(at + 1)];
      if (key === 'lowerdir') for (const path of lowerDirectories(value ?? '')) set('lowerdir+', path);
      else if (value !== undefined) set(key, value);
      else if (key !== 'ro' && key !== 'rw')
        check(kernel.call('fsconfig', fs, fsconfig.flag, key, null, 0), 'fsconfig', key);
    }
  });
}

/**
 * Mounts an EROFS image from its file (kernel: erofs.rst; Linux 6.12), read-only and attached nowhere: closing the fd
 * unmounts it. No device or program in it can be used through this mount. @throws SyscallError
 */
export const mountErofs = (file: string): number =>
  mountFilesystem('erofs', inert | MOUNT_ATTR_RDONLY, (fs) => setString(fs, 'source', file));

const setString = (fs: number, key: string, value: string): void =>
  void check(kernel.call('fsconfig', fs, fsconfig.string, key, value, 0), 'fsconfig', `${key}=${value}`);

function mountFilesystem(type: string, attributes: number, configure: (fs: number) => void): number {
  const fs = check(kernel.call('fsopen', type, FSOPEN_CLOEXEC), 'fsopen', type);
  try {
    configure(fs);
    check(kernel.call('fsconfig', fs, fsconfig.create, null, null, 0), 'fsconfig', `creating the ${type}`);
    return check(kernel.call('fsmount', fs, FSMOUNT_CLOEXEC, attributes), 'fsmount', type);
  } finally {
    kernel.call('close', fs);
  }
}

/** A detached copy of what is mounted at a path of this process, with all below it; no device or program in it can be used. */
export function copyMount(source: string, options: { readonly readOnly?: boolean } = {}): number {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
  const mount = check(kernel.call('open_tree', AT_FDCWD, source, flags), 'open_tree', source);
  return disarm(mount, options.readOnly ? MOUNT_ATTR_RDONLY : 0, source);
}

/**
 * A detached copy of a mount of another mount namespace (`namespace` is its fd): what is at `path`, every link resolved
 * there, alone or with the mounts below it. It is read-only where the original is; no device or program in it can be used.
 * @throws SyscallError
 */
export function copyMountOf(namespace: number, path: string, extent: 'alone' | 'with-all-below'): number {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (extent === 'alone' ? 0 : AT_RECURSIVE);
  const mount = check(kernel.callInNamespace(namespace, 'open_tree', AT_FDCWD, path, flags), 'open_tree', path);
  return disarm(mount, 0, path);
}

/** No mount made later elsewhere shows in it. Closes the mount where it fails. */
function disarm(mount: number, attributes: number, about: string): number {
  const attr = Buffer.alloc(32);
  attr.writeBigUInt64LE(BigInt(inert | attributes), 0);
  attr.writeBigUInt64LE(MS_PRIVATE, 16);
  const flags = AT_EMPTY_PATH | AT_RECURSIVE;
  const result = kernel.call('mount_setattr', mount, '', flags, attr, attr.length);
  if (result < 0) kernel.call('close', mount);
  check(result, 'mount_setattr', about);
  return mount;
}

/**
 * Attaches a detached mount on what `target` stands for, in a tree that is detached itself; both by fd, so that no name is
 * followed. `namespace` is the mount namespace that tree was copied from, where it was another's: only there may it be
 * changed. The fd `mount` still has to be closed. @throws SyscallError; GantryError unsupported before Linux 6.15
 */
export function attachDetached(mount: number, target: number, about: string, namespace?: number): void {
  const args = [mount, '', target, '', MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH] as const;
  const result =
    namespace === undefined
      ? kernel.call('move_mount', ...args)
      : kernel.callInNamespace(namespace, 'move_mount', ...args);
  if (result === -EINVAL)
    throw new GantryError(
      'unsupported',
      `this kernel cannot show the mount at ${about} in a detached tree; Linux 6.15 can`,
    );
  check(result, 'move_mount', about);
}
