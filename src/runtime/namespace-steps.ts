import { constants } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import type { NamespaceType, RuntimeSpec } from '#oci/index.ts';
import { cloneFlags } from './linux-flags.ts';
import type { PlanStep } from './plan.ts';

const { O_RDONLY, O_DIRECTORY } = constants;
/** Slots of the plan; namespaces joined by path come after it. */
const slots = { cgroup: 0, task: 1, namespaces: 2 } as const;

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

type Namespaces = NonNullable<NonNullable<RuntimeSpec['linux']>['namespaces']>;

/** @throws GantryError invalid | unsupported, naming the namespace */
function checkNamespaces(namespaces: Namespaces): void {
  const types = namespaces.map((namespace) => namespace.type);
  for (const type of types) {
    if (cloneFlags[type] === undefined) throw new GantryError('invalid', `unknown namespace "${type}"`);
    if (type === 'user' || type === 'time')
      throw new GantryError('unsupported', `${type} namespaces are not supported yet`);
    if (types.indexOf(type) !== types.lastIndexOf(type))
      throw new GantryError('invalid', `the ${type} namespace is given twice`);
  }
  if (!namespaces.some(({ type, path }) => type === 'mount' && path === undefined))
    throw new GantryError('unsupported', 'a container needs a mount namespace of its own');
}

/**
 * How a container's first process comes to its namespaces (runtime-spec: config-linux.md#namespaces). The cgroup
 * namespace is made by the child once it is in its cgroup, which becomes the root of its view.
 */
export function containerCloneSteps(namespaces: Namespaces, directories: readonly CgroupDirectory[]): CloneSteps {
  checkNamespaces(namespaces);
  const cgroup = cgroupSteps(directories);
  const fresh = (type: NamespaceType) => namespaces.some((n) => n.type === type && n.path === undefined);
  const joined = namespaces.filter((n) => n.path !== undefined);
  const setns = (type: NamespaceType): PlanStep => ({
    name: 'setns',
    args: [slots.namespaces + joined.findIndex((n) => n.type === type), cloneFlags[type]],
    about: `joining the ${type} namespace ${joined.find((n) => n.type === type)?.path}`,
  });
  const flags = namespaces
    .filter(({ type, path }) => path === undefined && type !== 'cgroup')
    .reduce((all, { type }) => all | cloneFlags[type], 0);
  return {
    before: [
      ...cgroup.before,
      ...joined.map(
        ({ type, path = '' }, index): PlanStep => ({
          name: 'open',
          args: [slots.namespaces + index, path, O_RDONLY],
          about: `opening the ${type} namespace`,
        }),
      ),
      ...joined.filter(({ type }) => type === 'pid').map(({ type }) => setns(type)),
    ],
    clone: { name: 'clone', args: [flags, cgroup.slotPlusOne], about: 'cloning into new namespaces' },
    after: [
      ...cgroup.join,
      ...joined.filter(({ type }) => type !== 'pid').map(({ type }) => setns(type)),
      ...(fresh('cgroup') ? [{ name: 'unshare' as const, args: [cloneFlags.cgroup] }] : []),
    ],
  };
}

/** How a further process comes into those of a running one; pid and start time name it beyond doubt. */
export function execCloneSteps(
  target: { readonly pid: number; readonly startTime: bigint; readonly namespaces: number },
  directories: readonly CgroupDirectory[],
): CloneSteps {
  const cgroup = cgroupSteps(directories);
  const others = target.namespaces & ~cloneFlags.pid;
  const setns = (flags: number): readonly PlanStep[] =>
    flags === 0
      ? []
      : [{ name: 'setns', args: [slots.task, flags], about: `joining the namespaces of process ${target.pid}` }];
  return {
    before: [
      ...cgroup.before,
      { name: 'pidfd', args: [slots.task, target.pid, target.startTime], about: `finding process ${target.pid}` },
      ...setns(target.namespaces & cloneFlags.pid),
    ],
    clone: { name: 'clone', args: [0, cgroup.slotPlusOne] },
    after: [...cgroup.join, ...setns(others)],
  };
}

const ipcSysctls =
  /^kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced|msg_next_id|sem_next_id|shm_next_id)$|^fs\.mqueue\./;

/**
 * Writes sysctls through the host's own /proc, which shows each process those of its namespaces.
 * @throws GantryError invalid for one that no namespace of the container holds: it would change the host
 */
export function sysctlSteps(sysctl: Readonly<Record<string, string>>, namespaces: Namespaces): readonly PlanStep[] {
  const types = new Set(namespaces.map((namespace) => namespace.type));
  return Object.entries(sysctl).map(([key, value]) => {
    const namespaced =
      (key.startsWith('net.') && types.has('network')) ||
      (ipcSysctls.test(key) && types.has('ipc')) ||
      (key === 'kernel.domainname' && types.has('uts'));
    const path = key.split('.');
    if (!namespaced || path.some((part) => part === '' || part === '..' || part.includes('/')))
      throw new GantryError('invalid', `sysctl "${key}" is not of a namespace that this container has of its own`);
    return {
      name: 'write',
      args: [`/proc/sys/${path.join('/')}`, Buffer.from(value)],
      about: `setting sysctl ${key}=${value}`,
    };
  });
}
