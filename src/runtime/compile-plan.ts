import { GantryError } from '#errors/index.ts';
import type { Mount, Process, RuntimeSpec } from '#oci/index.ts';
import { deviceSteps } from './device-steps.ts';
import { cloneFlags, mountAttr, propagation, seccompFlags } from './linux-flags.ts';
import { cgroupMountSteps, type Hierarchy, mountSteps, parseMountOptions, rootSteps } from './mount-steps.ts';
import {
  type CgroupDirectory,
  type CloneSteps,
  containerCloneSteps,
  execCloneSteps,
  sysctlSteps,
} from './namespace-steps.ts';
import type { PlanStep } from './plan.ts';
import {
  type Command,
  commandOf,
  earlyProcessSteps,
  lateProcessSteps,
  type ProcessHost,
  type SeccompFilter,
} from './process-steps.ts';
import { compileSeccomp } from './seccomp/index.ts';

/** Where our init is seen inside. */
const initInside = '/dev/init';

export interface PlanHost extends ProcessHost {
  readonly hierarchies: readonly Hierarchy[];
}

export interface ContainerPlanInput {
  readonly spec: RuntimeSpec;
  /** The root filesystem; the first of them is /. */
  readonly rootfs: readonly Mount[];
  readonly cgroup: readonly CgroupDirectory[];
  readonly seccomp: SeccompFilter | undefined;
  /** Our init, a file on the host, where it is to be PID 1. */
  readonly init?: string;
  readonly host: PlanHost;
}

export interface ExecPlanInput {
  readonly process: Process;
  readonly seccomp: SeccompFilter | undefined;
  /** A living process of the container, and CLONE_NEW* of what to join. */
  readonly target: { readonly pid: number; readonly startTime: bigint; readonly namespaces: number };
  readonly cgroup: readonly CgroupDirectory[];
  readonly host: ProcessHost;
}

/** The specification's seccomp profile as a filter. @throws GantryError invalid | unsupported */
export function seccompFilterOf(spec: RuntimeSpec): SeccompFilter | undefined {
  const profile = spec.linux?.seccomp;
  if (profile === undefined) return undefined;
  let flags = 0;
  for (const name of profile.flags ?? []) {
    const flag = seccompFlags[name];
    if (flag === undefined) throw new GantryError('unsupported', `seccomp flag "${name}" is not supported`);
    flags |= flag;
  }
  return { flags, program: compileSeccomp(profile) };
}

/** CLONE_NEW* of all namespaces that a container has, for those who join it. */
export const namespacesOf = (spec: RuntimeSpec): number =>
  (spec.linux?.namespaces ?? []).reduce((all, { type }) => all | cloneFlags[type], 0);

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

function rootPropagation(spec: RuntimeSpec): number {
  const name = spec.linux?.rootfsPropagation ?? '';
  const flag = { private: 0, slave: propagation.slave, shared: propagation.shared, unbindable: propagation.unbindable }[
    name.replace(/^r/, '') || 'private'
  ];
  if (flag === undefined) throw new GantryError('invalid', `unknown rootfsPropagation "${name}"`);
  return flag;
}

function identitySteps(spec: RuntimeSpec): readonly PlanStep[] {
  const own = spec.linux?.namespaces?.some(({ type }) => type === 'uts') ?? false;
  if (!own && (spec.hostname || spec.domainname))
    throw new GantryError('invalid', 'a hostname needs a uts namespace; it would change the host');
  return [
    ...(spec.hostname ? [{ name: 'hostname' as const, args: [spec.hostname], about: 'setting the hostname' }] : []),
    ...(spec.domainname
      ? [{ name: 'domainname' as const, args: [spec.domainname], about: 'setting the domainname' }]
      : []),
  ];
}

function initSteps(spec: RuntimeSpec, path: string): readonly PlanStep[] {
  const own = spec.mounts?.some((mount) => /^\/dev\/?$/.test(mount.destination) && !parseMountOptions(mount).bind);
  if (!own) throw new GantryError('unsupported', 'an init needs a /dev that is the container’s own');
  return mountSteps({ destination: initInside, type: 'bind', source: path, options: ['ro', 'nosuid', 'nodev'] });
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

/**
 * Compiles a container: from a clone in the host to exec in its own world, in this order. Pure.
 *   clone into namespaces → cgroup → mounts, devices → sysctls, masks → pivot → terminal, limits, cwd → ready → identity → exec
 * @throws GantryError invalid | unsupported, naming the field
 */
export function compileContainer(input: ContainerPlanInput): readonly PlanStep[] {
  const { spec, host } = input;
  const { process, linux = {} } = spec;
  if (process === undefined) throw new GantryError('invalid', 'the specification has no process');
  const namespaces = linux.namespaces ?? [];
  const clone = containerCloneSteps(namespaces, input.cgroup);
  const hasOwnDev = !spec.mounts?.some((m) => /^\/dev\/?$/.test(m.destination) && parseMountOptions(m).bind);
  const command = commandOf(process);
  const readOnly = spec.root?.readonly ? mountAttr.readOnly : 0;
  return [
    ...aroundClone(clone, oomScoreSteps(process)),
    ...propagationSteps(spec),
    ...rootSteps(input.rootfs),
    ...(spec.mounts ?? []).flatMap((mount) =>
      mount.type === 'cgroup' ? cgroupMountSteps(mount, host.hierarchies) : mountSteps(mount),
    ),
    ...(hasOwnDev ? deviceSteps(linux.devices ?? []) : []),
    ...(input.init === undefined ? [] : initSteps(spec, input.init)),
    ...identitySteps(spec),
    ...sysctlSteps(linux.sysctl ?? {}, namespaces),
    ...(linux.maskedPaths ?? []).map((path): PlanStep => ({ name: 'mask', args: [path], about: `masking ${path}` })),
    ...(linux.readonlyPaths ?? []).map(
      (path): PlanStep => ({ name: 'readonly', args: [path], about: `making ${path} read-only` }),
    ),
    // Made here, while the root can still be written.
    {
      name: 'mkdir',
      args: [process.cwd, 0o755, process.user.uid, process.user.gid],
      about: 'making the working directory',
    },
    ...(readOnly === 0 && rootPropagation(spec) === 0
      ? []
      : [{ name: 'root-attr' as const, args: [readOnly, rootPropagation(spec)] }]),
    { name: 'pivot', args: [], about: 'changing to the new root' },
    ...earlyProcessSteps(process, { bindConsole: hasOwnDev }),
    { name: 'ready', args: [] },
    ...lateProcessSteps(process, input.seccomp, host, input.init === undefined ? command : underInit(process)),
  ];
}

/** Our init runs the command, looks it up itself, and goes on to report why it could not. */
const underInit = (process: Process): Command => ({
  candidates: [initInside],
  argv: [initInside, ...process.args],
  reports: true,
});

/** `first` is done while the child still sees the host's /proc. */
const aroundClone = ({ before, clone, after }: CloneSteps, first: readonly PlanStep[]): readonly PlanStep[] => [
  ...before,
  clone,
  ...first,
  ...after,
];

/** Compiles one more process for a running container. Pure. @throws GantryError invalid | unsupported, naming the field */
export function compileExec(input: ExecPlanInput): readonly PlanStep[] {
  const { process } = input;
  return [
    ...aroundClone(execCloneSteps(input.target, input.cgroup), oomScoreSteps(process)),
    ...earlyProcessSteps(process, { bindConsole: false }),
    { name: 'ready', args: [] },
    ...lateProcessSteps(process, input.seccomp, input.host, commandOf(process)),
  ];
}
