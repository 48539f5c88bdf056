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
const MOUNT_ATTR_NODEV = 4;
const MOUNT_ATTR_NOEXEC = 8;

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
  if (root.type === 'bind') {
    const source = root.source ?? '';
    return check(
      kernel.call('open_tree', AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE),
      'open_tree',
      source,
    );
  }
  if (root.type !== 'overlay')
    throw new GantryError('unsupported', `a root filesystem of type ${root.type} cannot be looked into`);
  const fs = check(kernel.call('fsopen', 'overlay', FSOPEN_CLOEXEC), 'fsopen', 'overlay');
  try {
    const set = (key: string, value: string) =>
      check(kernel.call('fsconfig', fs, fsconfig.string, key, value, 0), 'fsconfig', `${key}=${value}`);
    for (const option of root.options ?? []) {
      const at = option.indexOf('=');
      const [key, value] = at < 0 ? [option, undefined] : [option.slice(0, at), option.slice(at + 1)];
      if (key === 'lowerdir') for (const path of lowerDirectories(value ?? '')) set('lowerdir+', path);
      else if (value !== undefined) set(key, value);
      else if (key !== 'ro' && key !== 'rw')
        check(kernel.call('fsconfig', fs, fsconfig.flag, key, null, 0), 'fsconfig', key);
    }
    check(kernel.call('fsconfig', fs, fsconfig.create, null, null, 0), 'fsconfig', 'creating the overlay');
    return check(
      kernel.call('fsmount', fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC),
      'fsmount',
      'overlay',
    );
  } finally {
    kernel.call('close', fs);
  }
}
