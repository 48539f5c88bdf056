import { constants } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import type { LinuxConfig, Mount, NamespaceType, Process, RuntimeSpec } from '#oci/index.ts';
import { cgroupMountSteps, type Hierarchy } from './cgroup-mount-steps.ts';
import { deviceSteps } from './device-steps.ts';
import { hookSteps, type Subject } from './hook-steps.ts';
import { labelSteps, noModules, requireSelinux } from './label-steps.ts';
import { cloneFlags, mountAttr, propagation } from './linux-flags.ts';
import { parseMountOptions } from './mount-options.ts';
import { type MountWorld, mountSteps, rootSteps } from './mount-steps.ts';
import {
  type CgroupDirectory,
  type CloneSteps,
  containerCloneSteps,
  type ExecTarget,
  execCloneSteps,
  hostIdOf,
  userNamespaceSlot,
} from './namespace-steps.ts';
import { checkNetDevices } from './net-devices.ts';
import type { PlanStep } from './plan.ts';
import { Preparation, slots } from './preparation.ts';
import {
  type Command,
  commandOf,
  earlyProcessSteps,
  hostRightsSteps,
  lateProcessSteps,
  type ProcessHost,
} from './process-steps.ts';
import { affinitySteps, schedulingSteps } from './scheduling-steps.ts';
import { agentSteps, type SeccompFilter, whenRunning } from './seccomp-filter.ts';
import { sysctlSteps } from './sysctl-steps.ts';

/** open(2), which Node has no name for. */
const O_PATH = 0o10000000;
/** Where our init is seen inside. */
const initInside = '/dev/init';

export interface PlanHost extends ProcessHost {
  readonly hierarchies: readonly Hierarchy[];
  /** Whether a namespace that is joined by its path is the host's own; absent for never. */
  readonly isOwnNamespace?: (type: NamespaceType, path: string) => boolean;
}

export interface ContainerPlanInput {
  readonly spec: RuntimeSpec;
  /** The root filesystem; the first of them is /. */
  readonly rootfs: readonly Mount[];
  readonly cgroup: readonly CgroupDirectory[];
  readonly seccomp: SeccompFilter | undefined;
  /** Whose state hooks and a seccomp agent are told. */
  readonly subject?: Subject;
  /** Our init, a file on the host, where it is to be PID 1. */
  readonly init?: string;
  readonly host: PlanHost;
}

export interface ExecPlanInput {
  readonly process: Process;
  readonly seccomp: SeccompFilter | undefined;
  readonly target: ExecTarget;
  readonly cgroup: readonly CgroupDirectory[];
  readonly host: ProcessHost;
}

/** CLONE_NEW* of all namespaces that a container has, for those who join it. */
export const namespacesOf = (spec: RuntimeSpec): number =>
  (spec.linux?.namespaces ?? []).reduce((all, { type }) => all | cloneFlags[type], 0);

/** What of a container's configuration those who join it need to know. */
export const execTargetOf = (spec: RuntimeSpec): Omit<ExecTarget, 'pid' | 'startTime'> => ({
  namespaces: namespacesOf(spec),
  ...(spec.linux?.uidMappings === undefined ? {} : { uidMappings: spec.linux.uidMappings }),
});

/** How the new mount namespace stands to the host's before anything is mounted (runtime-spec: config-linux.md#rootfs-mount-propagation). */
function propagationSteps(spec: RuntimeSpec): readonly PlanStep[] {
  const asked = (spec.mounts ?? []).map((mount) => parseMountOptions(mount).propagation);
  const root = (spec.linux?.rootfsPropagation ?? '').replace(/^r/, '');
  // What is shared with the host must stay so; only / itself is cut off, since the new root is mounted on it.
  const flags =
    root === 'shared' || asked.includes(propagation.shared)
      ? propagation.private
      : root === 'slave' || asked.includes(propagation.slave)
        ? propagation.slave | propagation.recursive
        : propagation.private | propagation.recursive;
  return [{ name: 'propagation', args: [flags], about: 'separating the mounts from the host' }];
}

/** [its name, MS_* of the root once it is alone] of `rootfsPropagation`; 0 for what it is by itself. */
function rootPropagation({ linux = {} }: RuntimeSpec): readonly [name: string, flags: number] {
  const asked = linux.rootfsPropagation ?? '';
  const name = asked.replace(/^r/, '') || 'private';
  const flag = { private: 0, slave: 0, shared: propagation.shared, unbindable: propagation.unbindable }[name];
  if (flag === undefined) throw new GantryError('invalid', `unknown rootfsPropagation "${asked}"`);
  return [name, flag === 0 ? 0 : flag | (asked.startsWith('r') ? propagation.recursive : 0)];
}

/** The namespaces that a container has and the host has not. */
function ownNamespaces({ namespaces = [] }: LinuxConfig, { isOwnNamespace }: PlanHost): ReadonlySet<NamespaceType> {
  const isOurs = (type: NamespaceType, path: string | undefined) =>
    path !== undefined && isOwnNamespace?.(type, path) === true;
  return new Set(namespaces.filter(({ type, path }) => !isOurs(type, path)).map(({ type }) => type));
}

function identitySteps(spec: RuntimeSpec, own: ReadonlySet<NamespaceType>): readonly PlanStep[] {
  if (!own.has('uts') && (spec.hostname || spec.domainname))
    throw new GantryError('invalid', 'a hostname needs a uts namespace; it would change the host');
  return [
    ...(spec.hostname ? [{ name: 'hostname' as const, args: [spec.hostname], about: 'setting the hostname' }] : []),
    ...(spec.domainname
      ? [{ name: 'domainname' as const, args: [spec.domainname], about: 'setting the domainname' }]
      : []),
  ];
}

const isDev = ({ destination }: Mount) => /^\/dev\/?$/.test(destination);
const hasOwnDev = (spec: RuntimeSpec) => !spec.mounts?.some((mount) => isDev(mount) && parseMountOptions(mount).bind);

function initSteps(spec: RuntimeSpec, path: string, world: MountWorld): readonly PlanStep[] {
  if (!spec.mounts?.some(isDev) || !hasOwnDev(spec))
    throw new GantryError('unsupported', 'an init needs a /dev that is the container’s own');
  const mount = { destination: initInside, type: 'bind', source: path, options: ['ro', 'nosuid', 'nodev'] };
  return mountSteps(mount, world);
}

const oomScoreSteps = (process: Process): readonly PlanStep[] =>
  process.oomScoreAdj === undefined
    ? []
    : [
        {
          name: 'write',
          args: ['/proc/self/oom_score_adj', Buffer.from(String(process.oomScoreAdj))],
          about: `setting oom_score_adj to ${process.oomScoreAdj}`,
        },
      ];

/** What is refused before anything else is looked at. */
function checkLinux(spec: RuntimeSpec, host: PlanHost): void {
  const { linux = {} } = spec;
  requireSelinux(linux.mountLabel, host.modules ?? noModules, 'linux.mountLabel');
}

/** Paths that hide something; those below a mount come after it. */
const coverSteps = ({ maskedPaths = [], readonlyPaths = [] }: LinuxConfig): readonly PlanStep[] => [
  ...maskedPaths.map((path): PlanStep => ({ name: 'mask', args: [path], about: `masking ${path}` })),
  ...readonlyPaths.map((path): PlanStep => ({ name: 'readonly', args: [path], about: `making ${path} read-only` })),
];

/** Before the pivot, hooks of the container see its root at the host's path of it, as they do with other runtimes. */
function rootPlace({ hooks = {} }: RuntimeSpec, [root]: readonly Mount[]): string {
  const { prestart = [], createRuntime = [], createContainer = [] } = hooks;
  const hooked = prestart.length + createRuntime.length + createContainer.length > 0;
  return hooked && root?.type === 'bind' ? (root.source ?? '/') : '/';
}

/** The mappings of a user namespace that is made; of one that is joined they are not known. */
const pickMappings = ({ uidMappings, gidMappings }: LinuxConfig) => ({
  ...(uidMappings === undefined ? {} : { uidMappings }),
  ...(gidMappings === undefined ? {} : { gidMappings }),
});

/** The container's tree, until it is all that is left. */
function treeSteps(input: ContainerPlanInput, process: Process, world: MountWorld): readonly PlanStep[] {
  const { spec, host } = input;
  const { linux = {} } = spec;
  const readOnly = spec.root?.readonly ? mountAttr.readOnly : 0;
  const [rootfsPropagation, alone] = rootPropagation(spec);
  const path = rootPlace(spec, input.rootfs);
  const place = {
    path,
    hears: rootfsPropagation === 'slave',
    ...(path === '/' || world.userNamespace === undefined ? {} : { slot: slots.root }),
  };
  return [
    ...propagationSteps(spec),
    ...rootSteps(input.rootfs, world, place),
    ...(spec.mounts ?? []).flatMap((mount) =>
      mount.type === 'cgroup' ? cgroupMountSteps(mount, host.hierarchies) : mountSteps(mount, world),
    ),
    ...deviceSteps(linux.devices ?? [], world, { ownDev: hasOwnDev(spec) }),
    ...(input.init === undefined ? [] : initSteps(spec, input.init, world)),
    ...coverSteps(linux),
    // Made here, while the root can still be written.
    {
      name: 'mkdir',
      args: [process.cwd, 0o755, process.user.uid, process.user.gid],
      about: 'making the working directory',
    },
    ...(readOnly === 0 ? [] : [{ name: 'root-attr' as const, args: [readOnly, 0] }]),
    ...hookSteps(spec, 'createContainer', input.subject),
    { name: 'pivot', args: [], about: 'changing to the new root' },
    // A shared root cannot be changed to.
    ...(alone === 0 ? [] : [{ name: 'propagation' as const, args: [alone], about: 'setting rootfsPropagation' }]),
  ];
}

/** A mount namespace of another's is taken as it is: what would be mounted would change it for those who are in it. */
function checkJoinedMount({ mounts = [], linux = {} }: RuntimeSpec): void {
  const { maskedPaths = [], readonlyPaths = [], devices = [], rootfsPropagation } = linux;
  for (const [field, asked] of Object.entries({
    mounts: mounts.length > 0,
    'linux.maskedPaths': maskedPaths.length > 0,
    'linux.readonlyPaths': readonlyPaths.length > 0,
    'linux.devices': devices.length > 0,
    'linux.rootfsPropagation': !!rootfsPropagation,
  }))
    if (asked)
      throw new GantryError(
        'unsupported',
        `${field}: the mount namespace is joined, its mounts are not ours to change`,
      );
}

/**
 * Compiles a container: from a clone in the host to exec in its own world, in this order. Pure.
 *   (user namespace, what the host must mount) → clone into namespaces → cgroup → mounts, devices → masks → meet the
 *   parent, hooks → pivot → terminal, limits, cwd → ready → identity → exec
 * @throws GantryError invalid | unsupported, naming the field
 */
export function compileContainer(input: ContainerPlanInput): readonly PlanStep[] {
  const { spec, host, seccomp, subject } = input;
  const { process, linux = {} } = spec;
  if (process === undefined) throw new GantryError('invalid', 'the specification has no process');
  checkLinux(spec, host);
  const command = commandOf(process);
  const preparation = new Preparation();
  const userNamespace = userNamespaceSlot(linux, preparation);
  const own = ownNamespaces(linux, host);
  checkNetDevices(linux, own.has('network'));
  const inUserNamespace = userNamespace !== undefined;
  const ownsNetwork = linux.namespaces?.some(({ type, path }) => type === 'network' && path === undefined) ?? false;
  const world: MountWorld = {
    preparation,
    ...(inUserNamespace ? { userNamespace: { ...pickMappings(linux), slot: userNamespace, ownsNetwork } } : {}),
    ...(linux.mountLabel ? { label: linux.mountLabel } : {}),
  };
  const clone = containerCloneSteps({
    linux,
    preparation,
    userNamespace,
    directories: input.cgroup,
    asHost: hostRightsSteps(process, hostIdOf(linux.uidMappings, process.user.uid)),
  });
  const place = rootPlace(spec, input.rootfs);
  // Found while the child has the host's ids still: its directories may be for root alone.
  const openPlace: readonly PlanStep[] =
    place === '/' || !inUserNamespace
      ? []
      : [{ name: 'open', args: [slots.root, place, O_PATH | constants.O_DIRECTORY], about: `finding ${place}` }];
  const joined = clone.joinMount.length > 0;
  if (joined) checkJoinedMount(spec);
  const tree = joined ? clone.joinMount : treeSteps(input, process, world);
  const [openLabel, writeLabel] = labelSteps(process, host.modules ?? noModules);
  const runtimeHooks = [...hookSteps(spec, 'prestart', subject), ...hookSteps(spec, 'createRuntime', subject)];
  const startHooks = hookSteps(spec, 'startContainer', subject);
  const meets =
    runtimeHooks.length + startHooks.length > 0 ||
    (spec.hooks?.createContainer?.length ?? 0) > 0 ||
    seccomp?.agent !== undefined;
  return [
    ...runtimeHooks,
    ...preparation.steps,
    ...aroundClone(clone, [...oomScoreSteps(process), ...openPlace, ...openLabel, ...agentSteps(seccomp)]),
    ...identitySteps(spec, own),
    ...sysctlSteps(linux.sysctl ?? {}, own),
    ...(meets ? withMeeting(tree) : tree),
    ...earlyProcessSteps(process, { bindConsole: !joined && hasOwnDev(spec), userNamespace: inUserNamespace }),
    ...schedulingSteps(process, linux),
    { name: 'ready', args: [] },
    ...lateProcessSteps(process, seccomp, host, input.init === undefined ? command : underInit(process), [
      ...startHooks,
      ...writeLabel,
    ]),
  ];
}

/** The parent is met when all is mounted, and before the container's own hooks and the pivot. */
function withMeeting(tree: readonly PlanStep[]): readonly PlanStep[] {
  const at = tree.findIndex(({ name }) => name === 'hook' || name === 'pivot');
  const place = at < 0 ? tree.length : at;
  return [...tree.slice(0, place), { name: 'meet', args: [] }, ...tree.slice(place)];
}

/** Our init runs the command, looks it up itself, and goes on to report why it could not. */
const underInit = (process: Process): Command => ({
  candidates: [initInside],
  argv: [initInside, ...process.args],
  reports: true,
});

/** `first` is done while the child still sees the host's /proc, and has the host's ids. */
const aroundClone = ({ before, clone, after }: CloneSteps, first: readonly PlanStep[]): readonly PlanStep[] => [
  ...before,
  clone,
  ...first,
  ...after,
];

/** Compiles one more process for a running container. Pure. @throws GantryError invalid | unsupported, naming the field */
export function compileExec(input: ExecPlanInput): readonly PlanStep[] {
  const { process, target, host } = input;
  const seccomp = whenRunning(input.seccomp);
  const { initial, final } = process.execCPUAffinity ?? {};
  const userNamespace = (target.namespaces & cloneFlags.user) !== 0;
  const asHost = userNamespace ? hostRightsSteps(process, hostIdOf(target.uidMappings, process.user.uid)) : [];
  const [openLabel, writeLabel] = labelSteps(process, host.modules ?? noModules);
  return [
    ...affinitySteps(initial, 'process.execCPUAffinity.initial'),
    ...aroundClone(execCloneSteps(target, input.cgroup, asHost), [
      ...oomScoreSteps(process),
      ...openLabel,
      ...agentSteps(seccomp),
    ]),
    ...affinitySteps(final, 'process.execCPUAffinity.final'),
    ...(seccomp?.agent === undefined ? [] : [{ name: 'meet' as const, args: [] }]),
    ...earlyProcessSteps(process, { bindConsole: false, userNamespace }),
    ...schedulingSteps(process, {}),
    { name: 'ready', args: [] },
    ...lateProcessSteps(process, seccomp, host, commandOf(process), writeLabel),
  ];
}
