import { basename, dirname } from 'node:path';
import { GantryError } from '#errors/index.ts';
import type { IdMapping, Mount } from '#oci/index.ts';
import { fsconfig, mountAttr, propagation } from './linux-flags.ts';
import { type MountOptions, parseMountOptions } from './mount-options.ts';
import { hostIdOf } from './namespace-steps.ts';
import type { PlanStep } from './plan.ts';
import { Preparation } from './preparation.ts';

/** Whose mounts they are. */
export interface MountWorld {
  readonly preparation: Preparation;
  /** The container's user namespace: what it may not mount itself is made by the parent, and only attached by it. */
  readonly userNamespace?: {
    readonly slot: number;
    readonly uidMappings?: readonly IdMapping[];
    readonly gidMappings?: readonly IdMapping[];
    /** Whether it owns the network, without which it may mount no sysfs. */
    readonly ownsNetwork: boolean;
  };
  /** SELinux's label of the container's files (linux.mountLabel). */
  readonly label?: string;
}

/** Filesystems that belong to the namespaces they are mounted in. Others need the host's rights, or show the host's files. */
const ofNamespaces = new Set(['proc', 'sysfs', 'devpts', 'mqueue', 'tmpfs', 'cgroup', 'cgroup2']);
const labelled = new Set(['tmpfs', 'devpts', 'overlay']);

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

/** A user namespace whose mappings a mount takes, and the host's ids of its root. */
interface Mapping {
  readonly slot: number;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

const optionValue = (options: readonly string[], key: string): string | undefined =>
  options.findLast((option) => option.startsWith(`${key}=`))?.slice(key.length + 1);

/**
 * An overlay of idmapped layers, each by a fd of its own mount (overlayfs.rst). Upper and work directory must be of one
 * mount, so that of the directory they both lie in is mapped. The overlay acts on
 * disk with the ids of whoever mounts it: they must be the mapped root's (`fs-ids`).
 */
function idmappedOverlaySteps(
  { destination }: Mount,
  data: readonly string[],
  { slot, uid, gid }: Mapping,
  preparation: Preparation,
): readonly PlanStep[] {
  if (uid === undefined || gid === undefined)
    throw new GantryError(
      'invalid',
      `mount at ${destination}: the mappings of an overlay must map 0, who acts on its layers`,
    );
  // A layer's mount must live until the overlay is made of it.
  const kept = (): PlanStep => ({ name: 'hold', args: [preparation.slot()] });
  const tree = (path: string): readonly PlanStep[] => [
    { name: 'open-tree', args: [path, 0] },
    { name: 'idmap', args: [slot, 0] },
  ];
  const [upper, work] = [optionValue(data, 'upperdir'), optionValue(data, 'workdir')];
  const steps = lowerDirectories(optionValue(data, 'lowerdir') ?? '').flatMap((path): readonly PlanStep[] => [
    ...tree(path),
    { name: 'layer', args: ['lowerdir+', ''] },
    kept(),
  ]);
  if (upper !== undefined && work !== undefined) {
    const above = dirname(upper);
    if (dirname(work) !== above)
      throw new GantryError(
        'invalid',
        `an idmapped overlay: upperdir ${upper} and workdir ${work} must lie side by side`,
      );
    steps.push(...tree(above));
    steps.push({ name: 'layer', args: ['upperdir', basename(upper)] });
    steps.push({ name: 'layer', args: ['workdir', basename(work)] }, kept());
  }
  const others = data.filter((option) => !/^(?:lowerdir|upperdir|workdir)=/.test(option));
  return [...steps, ...others.flatMap(configSteps), { name: 'fs-ids', args: [uid, gid] }];
}

/** Makes a filesystem the current mount. */
export const filesystemSteps = (
  type: string,
  source: string | undefined,
  data: readonly string[],
  attributes: number,
  configure = (options: readonly string[]): readonly PlanStep[] => options.flatMap(configSteps),
): readonly PlanStep[] => [
  { name: 'fsopen', args: [type] },
  ...(source === undefined || source === '' ? [] : configSteps(`source=${source}`)),
  ...configure(data),
  { name: 'fsconfig', args: [fsconfig.create, '', ''] },
  { name: 'fsmount', args: [attributes] },
];

function bindSteps(mount: Mount, options: MountOptions): readonly PlanStep[] {
  const { attributes } = options;
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
  // `rw` asks for nothing: a source that is mounted read-only stays so.
  const clear = attributes.clear & ~mountAttr.readOnly;
  return [
    { name: 'open-tree', args: [mount.source, options.recursive ? 1 : 0] },
    ...(attributes.set === 0 && clear === 0 ? [] : [{ name: 'setattr' as const, args: [0, attributes.set, clear, 0] }]),
  ];
}

/** The namespace of an idmapped mount: of its own mappings, or the container's. @throws GantryError invalid */
function mappingOf(mount: Mount, { preparation, userNamespace }: MountWorld): Mapping {
  const field = `mount at ${mount.destination}`;
  const own = (mount.uidMappings?.length ?? 0) + (mount.gidMappings?.length ?? 0) > 0;
  const { uidMappings, gidMappings } = own ? mount : (userNamespace ?? {});
  const root = { uid: hostIdOf(uidMappings, 0), gid: hostIdOf(gidMappings, 0) };
  if (own) return { slot: preparation.userNamespace(uidMappings, gidMappings, field), ...root };
  if (userNamespace !== undefined) return { slot: userNamespace.slot, ...root };
  throw new GantryError('invalid', `${field}: idmap needs uidMappings and gidMappings, or a user namespace`);
}

/** Makes what an OCI mount describes the current mount, not attached yet. */
function currentMountSteps(mount: Mount, options: MountOptions, world: MountWorld): readonly PlanStep[] {
  const { below } = options;
  const steps: PlanStep[] = [];
  const mapping = options.idmap === 'none' ? undefined : mappingOf(mount, world);
  if (options.bind) steps.push(...bindSteps(mount, options));
  else {
    const { type, source } = mount;
    if (type === undefined) throw new GantryError('invalid', `mount at ${mount.destination}: it has no type`);
    const label = world.label !== undefined && labelled.has(type) ? [`context="${world.label}"`] : [];
    const isReadOnly = (options.attributes.set & mountAttr.readOnly) !== 0;
    // A device that cannot be written is refused unless the filesystem itself is read-only.
    const readOnly = isReadOnly && source?.startsWith('/') ? ['ro'] : [];
    const layered = type === 'overlay' && mapping !== undefined;
    steps.push(
      ...filesystemSteps(
        type,
        source,
        [...options.data, ...label, ...readOnly],
        options.copyUp ? options.attributes.set & ~mountAttr.readOnly : options.attributes.set,
        layered ? (data) => idmappedOverlaySteps(mount, data, mapping, world.preparation) : undefined,
      ),
    );
  }
  if (mapping !== undefined && mount.type === 'overlay') steps.push({ name: 'fs-ids', args: [0, 0] });
  else if (mapping !== undefined)
    steps.push({ name: 'idmap', args: [mapping.slot, options.idmap === 'recursive' ? 1 : 0] });
  if (below.set !== 0 || below.clear !== 0) steps.push({ name: 'setattr', args: [1, below.set, below.clear, 0] });
  if (options.copyUp) {
    steps.push({ name: 'copy-up', args: [mount.destination] });
    if ((options.attributes.set & mountAttr.readOnly) !== 0)
      steps.push({ name: 'setattr', args: [0, mountAttr.readOnly, 0, 0] });
  }
  if (options.propagation !== 0)
    steps.push({ name: 'setattr', args: [options.propagationRecursive ? 1 : 0, 0, 0, options.propagation] });
  return steps;
}

/** What a mount is for, in an error's words. */
export const describeMount = (mount: Mount): string =>
  `mounting ${mount.type === 'bind' || mount.type === undefined ? (mount.source ?? '') : mount.type} at ${mount.destination}`;

export const named = (steps: readonly PlanStep[], about: string): readonly PlanStep[] =>
  steps.map((step) => ({ ...step, about }));

/** Changes what is mounted there: a bind's attributes, or the filesystem's own options too. */
function remountSteps(mount: Mount, options: MountOptions): readonly PlanStep[] {
  const { attributes, below, data } = options;
  const attr = (recursive: number, set: number, clear: number, how: number): PlanStep => ({
    name: 'path-attr',
    args: [mount.destination, recursive, set, clear, how],
  });
  return [
    ...(data.length === 0
      ? []
      : [
          { name: 'fspick' as const, args: [mount.destination] },
          ...data.flatMap(configSteps),
          { name: 'fsconfig' as const, args: [fsconfig.reconfigure, '', ''] },
        ]),
    attr(0, attributes.set, attributes.clear, 0),
    ...(below.set === 0 && below.clear === 0 ? [] : [attr(1, below.set, below.clear, 0)]),
    ...(options.propagation === 0 ? [] : [attr(options.propagationRecursive ? 1 : 0, 0, 0, options.propagation)]),
  ];
}

/** Where the user namespace does not own the network its sysfs is the host's, as it may look at it. */
const readOnlyHostSysfs = (mount: Mount): Mount => ({
  destination: mount.destination,
  type: 'bind',
  source: '/sys',
  options: ['rbind', ...(mount.options ?? []).filter((option) => option !== 'rw'), 'rslave', 'rro'],
});

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
export function mountSteps(mount: Mount, world: MountWorld): readonly PlanStep[] {
  const options = parseMountOptions(mount);
  const { type, destination } = mount;
  if (!destination.startsWith('/') || /^\/+$/.test(destination))
    throw new GantryError('invalid', `mount at "${destination}": the destination must be an absolute path below /`);
  const about = describeMount(mount);
  if (options.remount) return named(remountSteps(mount, options), `changing the mount at ${destination}`);
  if (type === 'sysfs' && world.userNamespace?.ownsNetwork === false)
    return mountSteps(readOnlyHostSysfs(mount), world);
  const kind = options.bind ? bindKind(destination) : type === 'proc' || type === 'sysfs' ? 2 : 0;
  const make = named(currentMountSteps(mount, options, world), about);
  return [...placed(make, mount, options, world), { name: 'attach', args: [destination, kind], about }];
}

/** Made by the child, or by the parent for a child that may not. */
const placed = (make: readonly PlanStep[], mount: Mount, options: MountOptions, world: MountWorld) =>
  world.userNamespace === undefined || (!options.bind && ofNamespaces.has(mount.type ?? ''))
    ? make
    : world.preparation.hold(make);

/** Where the root is found in the host's tree until the pivot, and whether it goes on to hear of the host's mounts below it. */
export interface RootPlace {
  readonly path: string;
  /** The slot of that place, for whoever may not find it. */
  readonly slot?: number;
  readonly hears: boolean;
}

/** The steps for the root filesystem: its mounts in order, the first at /. */
export function rootSteps(mounts: readonly Mount[], world: MountWorld, place: RootPlace): readonly PlanStep[] {
  const [root, ...more] = mounts;
  if (root === undefined) throw new GantryError('invalid', 'a container needs a root filesystem');
  const options = parseMountOptions(root);
  const about = `mounting the root filesystem (${root.type ?? 'bind'})`;
  const make = named(
    [
      ...currentMountSteps(root, options, world),
      { name: 'setattr', args: [1, 0, 0, place.hears ? propagation.slave : propagation.private] },
    ],
    about,
  );
  return [
    ...placed(make, root, options, world),
    { name: 'root', args: [place.path, place.slot === undefined ? 0 : place.slot + 1], about },
    ...more.flatMap((mount) => mountSteps(mount, world)),
  ];
}

/** The steps for one mount of a process with the host's own rights, with what they need first. */
export function hostMountSteps(mount: Mount): readonly PlanStep[] {
  const preparation = new Preparation();
  const steps = mountSteps(mount, { preparation });
  return [...preparation.steps, ...steps];
}
