import { GantryError } from '#errors/index.ts';
import type { Mount } from '#oci/index.ts';
import { fsconfig, mountAttr, propagation } from './linux-flags.ts';
import type { PlanStep } from './plan.ts';

/** What the options of a mount ask for. */
interface MountOptions {
  readonly bind: boolean;
  readonly recursive: boolean;
  /** MOUNT_ATTR_* of the mount alone, and of all below it (`rro`, …). */
  readonly attributes: Attributes;
  readonly below: Attributes;
  readonly propagation: number;
  readonly propagationRecursive: boolean;
  /** The filesystem's own: `key` or `key=value`. */
  readonly data: readonly string[];
}

interface Attributes {
  set: number;
  clear: number;
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
  atime: [0, mountAttr.atimeMask],
  noatime: [mountAttr.noAtime, mountAttr.atimeMask],
  strictatime: [mountAttr.strictAtime, mountAttr.atimeMask],
};

const propagationOptions: Readonly<Record<string, number>> = {
  private: propagation.private,
  slave: propagation.slave,
  shared: propagation.shared,
  unbindable: propagation.unbindable,
};

const unsupportedOptions = new Set(['tmpcopyup', 'idmap', 'ridmap', 'remount', 'sync', 'dirsync', 'mand', 'iversion']);
const ignorable = new Set(['defaults', 'async', 'norelatime', 'nostrictatime', 'loud', 'nomand']);

/** The options that are not a filesystem's own, as `features` of the runtime lists them. */
export const mountOptionNames: readonly string[] = [
  'bind',
  'rbind',
  ...[...Object.keys(attributeOptions), ...Object.keys(propagationOptions)].flatMap((name) => [name, `r${name}`]),
  ...ignorable,
];

/** @throws GantryError unsupported, naming the option */
export function parseMountOptions(mount: Mount): MountOptions {
  const attributes: Attributes = { set: 0, clear: 0 };
  const below: Attributes = { set: 0, clear: 0 };
  const data: string[] = [];
  let bind = mount.type === 'bind';
  let recursive = false;
  let propagate = 0;
  let propagationRecursive = false;
  const apply = (to: Attributes, [set, clear]: readonly [number, number]) => {
    // The last of contradicting options wins.
    to.set = (to.set & ~clear) | set;
    to.clear = (to.clear & ~set) | clear;
  };
  for (const option of mount.options ?? []) {
    const plain = attributeOptions[option];
    const deep = option.startsWith('r') ? attributeOptions[option.slice(1)] : undefined;
    const one = propagationOptions[option];
    const all = option.startsWith('r') ? propagationOptions[option.slice(1)] : undefined;
    if (option === 'bind' || option === 'rbind') {
      bind = true;
      recursive ||= option === 'rbind';
    } else if (plain !== undefined) apply(attributes, plain);
    else if (deep !== undefined) apply(below, deep);
    else if (one !== undefined || all !== undefined) {
      propagate = one ?? all ?? 0;
      propagationRecursive = one === undefined;
    } else if (unsupportedOptions.has(option))
      throw new GantryError('unsupported', `mount at ${mount.destination}: option "${option}" is not supported yet`);
    else if (!ignorable.has(option)) data.push(option);
  }
  return { bind, recursive, attributes, below, propagation: propagate, propagationRecursive, data };
}

/** Splits an overlay's `lowerdir=a:b`; `\:` is a colon of a name (overlayfs.rst). */
const lowerDirectories = (text: string): readonly string[] =>
  text.split(/(?<!\\):/).map((path) => path.replaceAll('\\:', ':').replaceAll('\\\\', '\\'));

/** One fsconfig(2) for an option; a lowerdir becomes one for each layer, so that many with long paths fit. */
function configSteps(option: string): readonly PlanStep[] {
  const at = option.indexOf('=');
  if (at < 0) return [{ name: 'fsconfig', args: [fsconfig.flag, option, ''] }];
  const [key, value] = [option.slice(0, at), option.slice(at + 1)];
  if (key === 'lowerdir')
    return lowerDirectories(value).map((path) => ({ name: 'fsconfig', args: [fsconfig.string, 'lowerdir+', path] }));
  return [{ name: 'fsconfig', args: [fsconfig.string, key, value] }];
}

/** Makes a filesystem the current mount. */
export const filesystemSteps = (
  type: string,
  source: string | undefined,
  data: readonly string[],
  attributes: number,
): readonly PlanStep[] => [
  { name: 'fsopen', args: [type] },
  ...(source === undefined || source === '' ? [] : configSteps(`source=${source}`)),
  ...data.flatMap(configSteps),
  { name: 'fsconfig', args: [fsconfig.create, '', ''] },
  { name: 'fsmount', args: [attributes] },
];

/** Makes what an OCI mount describes the current mount, not attached yet. */
function currentMountSteps(mount: Mount, options: MountOptions): readonly PlanStep[] {
  const { attributes, below } = options;
  const steps: PlanStep[] = [];
  if (options.bind) {
    if (!mount.source?.startsWith('/'))
      throw new GantryError(
        'invalid',
        `mount at ${mount.destination}: the source "${mount.source ?? ''}" must be an absolute path`,
      );
    const [odd] = options.data;
    if (odd !== undefined)
      throw new GantryError(
        'unsupported',
        `mount at ${mount.destination}: option "${odd}" means nothing for a bind mount`,
      );
    steps.push({ name: 'open-tree', args: [mount.source, options.recursive ? 1 : 0] });
    // `rw` asks for nothing: a source that is mounted read-only stays so.
    const clear = attributes.clear & ~mountAttr.readOnly;
    if (attributes.set !== 0 || clear !== 0) steps.push({ name: 'setattr', args: [0, attributes.set, clear, 0] });
  } else {
    if (mount.type === undefined) throw new GantryError('invalid', `mount at ${mount.destination}: it has no type`);
    steps.push(...filesystemSteps(mount.type, mount.source, options.data, attributes.set));
  }
  if (below.set !== 0 || below.clear !== 0) steps.push({ name: 'setattr', args: [1, below.set, below.clear, 0] });
  return steps;
}

const describe = (mount: Mount): string =>
  `mounting ${mount.type === 'bind' || mount.type === undefined ? (mount.source ?? '') : mount.type} at ${mount.destination}`;

const named = (steps: readonly PlanStep[], about: string): readonly PlanStep[] =>
  steps.map((step) => ({ ...step, about }));

/** Files of /proc that only tell, and that others (lxcfs) stand in for, as runc has them. Nothing else there is covered. */
const procFiles: ReadonlySet<string> = new Set(
  ['cpuinfo', 'diskstats', 'meminfo', 'stat', 'swaps', 'uptime', 'loadavg', 'slabinfo', 'sys/kernel/ns_last_pid'].map(
    (name) => `/proc/${name}`,
  ),
);

const bindKind = (destination: string): number => (procFiles.has(destination) ? 3 : 1);

/**
 * The steps for one mount (runtime-spec: config.md#mounts). /proc and /sys are reached without links (CVE-2019-16884).
 * @throws GantryError invalid | unsupported, naming the destination
 */
export function mountSteps(mount: Mount): readonly PlanStep[] {
  const options = parseMountOptions(mount);
  if (!mount.destination.startsWith('/') || /^\/+$/.test(mount.destination))
    throw new GantryError(
      'invalid',
      `mount at "${mount.destination}": the destination must be an absolute path below /`,
    );
  const kind = options.bind ? bindKind(mount.destination) : mount.type === 'proc' || mount.type === 'sysfs' ? 2 : 0;
  return named(
    [
      ...currentMountSteps(mount, options),
      ...(options.propagation === 0
        ? []
        : [{ name: 'setattr' as const, args: [options.propagationRecursive ? 1 : 0, 0, 0, options.propagation] }]),
      { name: 'attach', args: [mount.destination, kind] },
    ],
    describe(mount),
  );
}

/** The steps for the root filesystem: its mounts in order, the first at /. */
export function rootSteps(mounts: readonly Mount[]): readonly PlanStep[] {
  const [root, ...more] = mounts;
  if (root === undefined) throw new GantryError('invalid', 'a container needs a root filesystem');
  const options = parseMountOptions(root);
  return [
    ...named(
      [
        ...currentMountSteps(root, options),
        { name: 'setattr', args: [1, 0, 0, propagation.private] },
        { name: 'root', args: ['/'] },
      ],
      `mounting the root filesystem (${root.type ?? 'bind'})`,
    ),
    ...more.flatMap(mountSteps),
  ];
}

export interface Hierarchy {
  readonly mountpoint: string;
  readonly controllers: string;
  readonly version: 1 | 2;
}

/** The container's view of its cgroups: v2 alone, or a tmpfs with every hierarchy and links for those mounted together. */
export function cgroupMountSteps(mount: Mount, hierarchies: readonly Hierarchy[]): readonly PlanStep[] {
  const { attributes } = parseMountOptions(mount);
  const about = describe(mount);
  const one = (h: Hierarchy, destination: string): readonly PlanStep[] => [
    ...filesystemSteps(
      h.version === 2 ? 'cgroup2' : 'cgroup',
      'cgroup',
      h.version === 2 ? [] : h.controllers.split(','),
      attributes.set,
    ),
    { name: 'attach', args: [destination, 0] },
  ];
  const [first] = hierarchies;
  if (first === undefined) return [];
  if (hierarchies.length === 1 && first.version === 2) return named(one(first, mount.destination), about);
  const steps: PlanStep[] = [
    ...filesystemSteps('tmpfs', 'tmpfs', ['mode=755'], attributes.set & ~mountAttr.readOnly),
    { name: 'attach', args: [mount.destination, 0] },
  ];
  for (const h of hierarchies) {
    const name = h.version === 2 ? 'unified' : h.controllers;
    steps.push(...one(h, `${mount.destination}/${name}`));
    const together = h.controllers.split(',');
    if (together.length > 1)
      for (const link of together) steps.push({ name: 'symlink', args: [name, `${mount.destination}/${link}`] });
  }
  if ((attributes.set & mountAttr.readOnly) !== 0)
    steps.push({ name: 'path-attr', args: [mount.destination, 0, mountAttr.readOnly, 0, 0] });
  return named(steps, about);
}
