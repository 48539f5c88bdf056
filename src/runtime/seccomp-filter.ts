import { GantryError } from '#errors/index.ts';
import type { RuntimeSpec, Seccomp, State } from '#oci/index.ts';
import { aroundPid, type Subject, stateOf } from './hook-steps.ts';
import { seccompFlags, tsyncByErrno } from './linux-flags.ts';
import type { PlanStep } from './plan.ts';
import { slots } from './preparation.ts';
import { compileSeccomp } from './seccomp/index.ts';

/** A compiled seccomp filter. */
export interface SeccompFilter {
  readonly flags: number;
  readonly program: Buffer;
  /** Who decides on calls with SCMP_ACT_NOTIFY: a unix socket, and what it is told but for the pids. */
  readonly agent?: { readonly path: string; readonly metadata?: string; readonly state: Omit<State, 'pid'> };
}

function flagsOf({ flags = [] }: Seccomp): number {
  return flags.reduce((all, name) => {
    const flag = seccompFlags[name];
    if (flag === undefined) throw new GantryError('unsupported', `seccomp flag "${name}" is not supported`);
    return all | flag;
  }, 0);
}

const notifies = (profile: Seccomp): boolean =>
  (profile.syscalls ?? []).some(({ action }) => action === 'SCMP_ACT_NOTIFY');

function checkAgent(profile: Seccomp): void {
  const { defaultAction, listenerPath, listenerMetadata, syscalls = [] } = profile;
  if (listenerMetadata && !listenerPath)
    throw new GantryError('invalid', 'seccomp.listenerMetadata is given without seccomp.listenerPath');
  // The process hands the listener over by a sendmsg of its own, when the filter holds already.
  if (defaultAction === 'SCMP_ACT_NOTIFY')
    throw new GantryError('unsupported', 'seccomp.defaultAction SCMP_ACT_NOTIFY: an agent cannot decide on every call');
  if (!notifies(profile)) return;
  if (!listenerPath?.startsWith('/'))
    throw new GantryError(
      'invalid',
      `seccomp: SCMP_ACT_NOTIFY needs seccomp.listenerPath, not "${listenerPath ?? ''}"`,
    );
  if (syscalls.some(({ action, names }) => action === 'SCMP_ACT_NOTIFY' && names.includes('sendmsg')))
    throw new GantryError('unsupported', 'seccomp: an agent cannot decide on sendmsg, by which it gets its listener');
}

/**
 * The specification's seccomp profile as a filter. `subject` is whose state an agent is told.
 * @throws GantryError invalid | unsupported
 */
export function seccompFilterOf(spec: RuntimeSpec, subject?: Subject): SeccompFilter | undefined {
  const profile = spec.linux?.seccomp;
  if (profile === undefined) return undefined;
  checkAgent(profile);
  const flags = flagsOf(profile);
  const program = compileSeccomp(profile);
  if (!notifies(profile))
    return { flags: flags & ~(seccompFlags.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV ?? 0), program };
  if (subject === undefined) throw new GantryError('internal', 'seccomp: the container has no id and bundle');
  const { listenerPath: path = '', listenerMetadata: metadata } = profile;
  const { pid: _, ...state } = stateOf(spec, subject, 'creating', 0);
  const tsync = (flags & (seccompFlags.SECCOMP_FILTER_FLAG_TSYNC ?? 0)) !== 0 ? tsyncByErrno : 0;
  return { flags: flags | tsync, program, agent: { path, state, ...(metadata === undefined ? {} : { metadata }) } };
}

/** The same filter for a process that joins the container when it runs. */
export const whenRunning = (seccomp: SeccompFilter | undefined): SeccompFilter | undefined =>
  seccomp?.agent === undefined
    ? seccomp
    : { ...seccomp, agent: { ...seccomp.agent, state: { ...seccomp.agent.state, status: 'running' } } };

/** Reaches the agent, while the host's paths are there. */
export const agentSteps = (seccomp: SeccompFilter | undefined): readonly PlanStep[] =>
  seccomp?.agent === undefined
    ? []
    : [{ name: 'connect', args: [slots.agent, seccomp.agent.path], about: 'connecting to the seccomp agent' }];

/** Loads the filter; the agent gets its listener. */
export function loadSteps(seccomp: SeccompFilter | undefined): readonly PlanStep[] {
  if (seccomp === undefined) return [];
  const { flags, program, agent } = seccomp;
  const about = 'loading the seccomp filter';
  if (agent === undefined) return [{ name: 'seccomp', args: [flags, program], about }];
  const { metadata, state } = agent;
  const [before = '', between = '', after = ''] = aroundPid((pid) => ({
    ociVersion: state.ociVersion,
    fds: ['seccompFd'],
    pid,
    ...(metadata === undefined ? {} : { metadata }),
    state: { ...state, pid },
  }));
  return [{ name: 'seccomp-notify', args: [flags, program, slots.agent, before, between, after], about }];
}
