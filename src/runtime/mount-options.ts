import { GantryError } from '#errors/index.ts';
import type { Mount } from '#oci/index.ts';
import { mountAttr, propagation } from './linux-flags.ts';

/** What the options of a mount ask for. */
export interface MountOptions {
  readonly bind: boolean;
  readonly recursive: boolean;
  /** MOUNT_ATTR_* of the mount alone, and of all below it (`rro`, …). */
  readonly attributes: Attributes;
  readonly below: Attributes;
  readonly propagation: number;
  readonly propagationRecursive: boolean;
  /** What is mounted there already is changed. */
  readonly remount: boolean;
  /** A tmpfs begins with what is at its place. */
  readonly copyUp: boolean;
  readonly idmap: 'none' | 'plain' | 'recursive';
  /** The filesystem's own: `key` or `key=value`. */
  readonly data: readonly string[];
}

export interface Attributes {
  readonly set: number;
  readonly clear: number;
}

/** [attributes to set, to clear] by option (runtime-spec: config.md#linux-mount-options). */
const attributeOptions: Readonly<Record<string, readonly [set: number, clear: number]>> = {
  ro: [mountAttr.readOnly, 0],
  rw: [0, mountAttr.readOnly],
  nosuid: [mountAttr.noSuid, 0],
  suid: [0, mountAttr.noSuid],
  nodev: [mountAttr.noDev, 0],
  dev: [0, mountAttr.noDev],
  noexec: [mountAttr.noExec, 0],
  exec: [0, mountAttr.noExec],
  nosymfollow: [mountAttr.noSymlinkFollow, 0],
  symfollow: [0, mountAttr.noSymlinkFollow],
  nodiratime: [mountAttr.noDirAtime, 0],
  diratime: [0, mountAttr.noDirAtime],
  relatime: [0, mountAttr.atimeMask],
  norelatime: [mountAttr.strictAtime, mountAttr.atimeMask],
  atime: [0, mountAttr.atimeMask],
  noatime: [mountAttr.noAtime, mountAttr.atimeMask],
  strictatime: [mountAttr.strictAtime, mountAttr.atimeMask],
  nostrictatime: [0, mountAttr.atimeMask],
};

const propagationOptions: Readonly<Record<string, number>> = {
  private: propagation.private,
  slave: propagation.slave,
  shared: propagation.shared,
  unbindable: propagation.unbindable,
};

/** Flags of a superblock that are what they are without being asked for. */
const ignorable = new Set(['defaults', 'async', 'loud', 'silent', 'nomand', 'noiversion', 'nolazytime']);
const unsupported = new Set(['iversion']);

/** The options that are not a filesystem's own, as `features` of the runtime lists them. */
export const mountOptionNames: readonly string[] = [
  ...['bind', 'rbind', 'remount', 'tmpcopyup', 'idmap', 'ridmap'],
  ...[...Object.keys(attributeOptions), ...Object.keys(propagationOptions)].flatMap((name) => [name, `r${name}`]),
  ...ignorable,
  ...['sync', 'dirsync', 'lazytime', 'mand'],
];

/** Both, of which the later wins. */
const joined = (before: Attributes, [set, clear]: readonly [number, number]): Attributes => ({
  set: (before.set & ~clear) | set,
  clear: (before.clear & ~set) | clear,
});

const nothing: Attributes = { set: 0, clear: 0 };

/** Reads a mount's options; mappings without an option ask for a plain idmapped mount. @throws GantryError unsupported, naming the option */
export function parseMountOptions(mount: Mount): MountOptions {
  const mapped = (mount.uidMappings?.length ?? 0) + (mount.gidMappings?.length ?? 0) > 0;
  const found = {
    bind: mount.type === 'bind',
    recursive: false,
    attributes: nothing,
    below: nothing,
    propagation: 0,
    propagationRecursive: false,
    remount: false,
    copyUp: false,
    idmap: (mapped ? 'plain' : 'none') as MountOptions['idmap'],
    data: [] as string[],
  };
  for (const option of mount.options ?? []) {
    const plain = attributeOptions[option];
    const deep = option.startsWith('r') ? attributeOptions[option.slice(1)] : undefined;
    const one = propagationOptions[option];
    const all = option.startsWith('r') ? propagationOptions[option.slice(1)] : undefined;
    if (option === 'bind' || option === 'rbind') {
      found.bind = true;
      found.recursive ||= option === 'rbind';
    } else if (option === 'remount') found.remount = true;
    else if (option === 'tmpcopyup') found.copyUp = true;
    else if (option === 'idmap') found.idmap = 'plain';
    else if (option === 'ridmap') found.idmap = 'recursive';
    else if (plain !== undefined) found.attributes = joined(found.attributes, plain);
    else if (deep !== undefined) found.below = joined(found.below, deep);
    else if (one !== undefined || all !== undefined) {
      found.propagation = one ?? all ?? 0;
      found.propagationRecursive = one === undefined;
    } else if (unsupported.has(option))
      throw new GantryError(
        'unsupported',
        `mount at ${mount.destination}: no filesystem takes the option "${option}" any more; leave it out`,
      );
    else if (!ignorable.has(option)) found.data.push(option);
  }
  if (found.copyUp && mount.type !== 'tmpfs')
    throw new GantryError('invalid', `mount at ${mount.destination}: option "tmpcopyup" is for a tmpfs`);
  return found;
}
