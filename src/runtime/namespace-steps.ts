import { constants } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import type { IdMapping, LinuxConfig, NamespaceType, TimeOffset } from '#oci/index.ts';
import { cloneFlags } from './linux-flags.ts';
import type { PlanStep } from './plan.ts';
import { type Preparation, slots } from './preparation.ts';

const { O_RDONLY, O_DIRECTORY } = constants;

/** A cgroup's directory with the version of its hierarchy. */
export interface CgroupDirectory {
  readonly path: string;
  readonly version: 1 | 2;
}

/** The steps around the clone: which come before, the clone itself, and how its child gets into cgroups and namespaces. */
export interface CloneSteps {
  readonly before: readonly PlanStep[];
  readonly clone: PlanStep;
  readonly after: readonly PlanStep[];
}

/**
 * Into v2 the child is born (clone3(2), CLONE_INTO_CGROUP), into each v1 cgroup it writes itself, before it does anything that
 * costs. It writes to `tasks`: a thread that moves itself takes no lock, where `cgroup.procs` waits 8–20 ms for a grace period
 * of the kernel's RCU.
 */
function cgroupSteps(directories: readonly CgroupDirectory[]) {
  const unified = directories.find((directory) => directory.version === 2);
  return {
    before:
      unified === undefined
        ? []
        : [
            {
              name: 'open' as const,
              args: [slots.cgroup, unified.path, O_RDONLY | O_DIRECTORY],
              about: `opening the cgroup ${unified.path}`,
            },
          ],
    slotPlusOne: unified === undefined ? 0 : slots.cgroup + 1,
    join: directories
      .filter((directory) => directory.version === 1)
      .map(
        ({ path }): PlanStep => ({
          name: 'write',
          args: [`${path}/tasks`, Buffer.from('0')],
          about: `joining the cgroup ${path}`,
        }),
      ),
  };
}

type Namespaces = NonNullable<LinuxConfig['namespaces']>;

/** @throws GantryError invalid | unsupported, naming the namespace */
function checkNamespaces(namespaces: Namespaces): void {
  const types = namespaces.map((namespace) => namespace.type);
  for (const type of types) {
    if (cloneFlags[type] === undefined) throw new GantryError('invalid', `unknown namespace "${type}"`);
    if (types.indexOf(type) !== types.lastIndexOf(type))
      throw new GantryError('invalid', `the ${type} namespace is given twice`);
  }
  if (!types.includes('mount'))
    throw new GantryError(
      'unsupported',
      'a container needs a mount namespace of its own, or one to join: in the host’s its mounts would be the host’s',
    );
}

const hasOffset = ({ secs = 0, nanosecs = 0 }: TimeOffset = {}) => BigInt(secs) !== 0n || nanosecs !== 0;

/** A time namespace takes its offsets before anyone is in it: the parent makes it for its children (time_namespaces(7)). */
function timeSteps({ namespaces = [], timeOffsets = {} }: LinuxConfig): readonly PlanStep[] {
  const offsets = Object.entries(timeOffsets).filter(([, offset]) => hasOffset(offset));
  if (offsets.length === 0) return [];
  const time = namespaces.find(({ type }) => type === 'time');
  if (time === undefined || time.path !== undefined)
    throw new GantryError('invalid', 'linux.timeOffsets needs a time namespace of the container’s own');
  const lines = offsets.map(([clock, { secs = 0, nanosecs = 0 } = {}]) => `${clock} ${secs} ${nanosecs}\n`);
  return [
    { name: 'unshare', args: [cloneFlags.time], about: 'making the time namespace' },
    {
      name: 'write',
      args: ['/proc/self/timens_offsets', Buffer.from(lines.join(''))],
      about: `setting linux.timeOffsets to ${lines.join(', ').trim().replaceAll('\n', '')}`,
    },
  ];
}

/** The host's id of an id in a user namespace; undefined where it has none. */
export const hostIdOf = (mappings: readonly IdMapping[] = [], id: number): number | undefined => {
  const found = mappings.find(({ containerID, size }) => id >= containerID && id < containerID + size);
  return found === undefined ? undefined : found.hostID + (id - found.containerID);
};

/** Root of the user namespace, so that what is made from here on is its own. */
export const becomeRootSteps: readonly PlanStep[] = [
  { name: 'groups', args: [Buffer.alloc(0)], about: 'leaving the groups of the host' },
  { name: 'ids', args: [0, 0], about: 'becoming root of the user namespace (it must map 0)' },
];

function checkMappings({ uidMappings, gidMappings }: LinuxConfig): void {
  for (const [field, mappings] of Object.entries({ uidMappings, gidMappings }))
    if (hostIdOf(mappings, 0) === undefined)
      throw new GantryError('invalid', `linux.${field} must map the container's 0: who else would set it up?`);
}

/** The slot of a container's user namespace; undefined where it has the host's. @throws GantryError invalid */
export function userNamespaceSlot(linux: LinuxConfig, preparation: Preparation): number | undefined {
  const user = linux.namespaces?.find(({ type }) => type === 'user');
  if (user === undefined) {
    if ((linux.uidMappings?.length ?? 0) + (linux.gidMappings?.length ?? 0) > 0)
      throw new GantryError('invalid', 'linux.uidMappings and gidMappings need a user namespace');
    return undefined;
  }
  if (user.path !== undefined) {
    const slot = preparation.slot();
    preparation.steps.push({
      name: 'open',
      args: [slot, user.path, O_RDONLY],
      about: `opening the user namespace ${user.path}`,
    });
    return slot;
  }
  const slot = preparation.userNamespace(linux.uidMappings, linux.gidMappings, 'the user namespace');
  checkMappings(linux);
  return slot;
}

/** Steps with the host's rights that a user namespace would take away; they come before it is entered. */
export interface CloneInput {
  readonly linux: LinuxConfig;
  readonly directories: readonly CgroupDirectory[];
  readonly preparation: Preparation;
  readonly userNamespace: number | undefined;
  readonly asHost: readonly PlanStep[];
}

/**
 * How a container's first process comes to its namespaces (runtime-spec: config-linux.md#namespaces). The cgroup
 * namespace is made by the child once it is in its cgroup, which becomes the root of its view. Namespaces of others are
 * joined before a user namespace is, with the host's rights; only the mount namespace is joined at the end.
 */
export function containerCloneSteps(input: CloneInput): CloneSteps & { readonly joinMount: readonly PlanStep[] } {
  const { linux, preparation, userNamespace } = input;
  const { namespaces = [] } = linux;
  checkNamespaces(namespaces);
  const cgroup = cgroupSteps(input.directories);
  const offsets = timeSteps(linux);
  const fresh = new Set(namespaces.filter(({ path }) => path === undefined).map(({ type }) => type));
  const joins = namespaces
    .filter(({ type, path }) => path !== undefined && type !== 'user')
    .map(({ type, path = '' }) => {
      const slot = preparation.slot();
      return {
        type,
        open: { name: 'open', args: [slot, path, O_RDONLY], about: `opening the ${type} namespace` } as PlanStep,
        enter: {
          name: 'setns',
          args: [slot, cloneFlags[type]],
          about: `joining the ${type} namespace ${path}`,
        } as PlanStep,
      };
    });
  const enter = (wanted: (type: NamespaceType) => boolean) =>
    joins.filter(({ type }) => wanted(type)).map((join) => join.enter);
  const isLate = (type: NamespaceType) => type === 'mount' || type === 'cgroup';
  const atClone = [...fresh].filter((type) => {
    if (type === 'cgroup' || type === 'user') return false;
    return type !== 'time' || offsets.length === 0;
  });
  const flags = atClone.reduce((all, type) => all | cloneFlags[type], 0);
  const before = [...cgroup.before, ...joins.map(({ open }) => open), ...offsets];
  const after = [
    ...(userNamespace === undefined ? [] : becomeRootSteps),
    ...(fresh.has('cgroup') ? [{ name: 'unshare' as const, args: [cloneFlags.cgroup] }] : []),
  ];
  const clone: PlanStep = {
    name: 'clone',
    args: [flags, cgroup.slotPlusOne],
    about: 'cloning into new namespaces',
  };
  const joinMount = enter((type) => type === 'mount');
  const joinCgroup = enter((type) => type === 'cgroup');
  if (userNamespace === undefined) {
    const early = enter((type) => type === 'pid');
    const others = enter((type) => type !== 'pid' && !isLate(type));
    return {
      before: [...before, ...early],
      clone,
      after: [...cgroup.join, ...others, ...joinCgroup, ...after],
      joinMount,
    };
  }
  return {
    before: [
      ...before,
      { name: 'helper', args: [] },
      ...input.asHost,
      ...enter((type) => !isLate(type)),
      { name: 'setns', args: [userNamespace, cloneFlags.user], about: 'entering the user namespace' },
    ],
    clone,
    after: [...cgroup.join, ...joinCgroup, ...after],
    joinMount,
  };
}

/** A container that a process joins. */
export interface ExecTarget {
  /** A living process of it, and when that began: they name it beyond doubt. */
  readonly pid: number;
  readonly startTime: bigint;
  /** CLONE_NEW* of what to join. */
  readonly namespaces: number;
  /** Of its user namespace, where it made one. */
  readonly uidMappings?: readonly IdMapping[];
  /** Its user namespace is what gives the right to join the others: for a user who is not root. */
  readonly byUserNamespace?: boolean;
}

/** How a further process comes into those of a running one. */
export function execCloneSteps(
  target: ExecTarget,
  directories: readonly CgroupDirectory[],
  asHost: readonly PlanStep[],
): CloneSteps {
  const cgroup = cgroupSteps(directories);
  const others = target.namespaces & ~cloneFlags.pid;
  const setns = (flags: number): readonly PlanStep[] =>
    flags === 0
      ? []
      : [{ name: 'setns', args: [slots.task, flags], about: `joining the namespaces of process ${target.pid}` }];
  const find: readonly PlanStep[] = [
    ...cgroup.before,
    { name: 'pidfd', args: [slots.task, target.pid, target.startTime], about: `finding process ${target.pid}` },
  ];
  if (target.byUserNamespace)
    return {
      before: [...find, { name: 'helper', args: [] }, ...asHost, ...setns(target.namespaces)],
      clone: { name: 'clone', args: [0, cgroup.slotPlusOne] },
      after: [...cgroup.join, ...becomeRootSteps],
    };
  return {
    before: [...find, ...setns(target.namespaces & cloneFlags.pid)],
    clone: { name: 'clone', args: [0, cgroup.slotPlusOne] },
    after: [
      ...cgroup.join,
      ...asHost,
      ...setns(others),
      ...((target.namespaces & cloneFlags.user) === 0 ? [] : becomeRootSteps),
    ],
  };
}
