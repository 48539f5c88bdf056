import { GantryError } from '#errors/index.ts';
import type { Integer, Process } from '#oci/index.ts';
import type { SecurityModules } from './label-steps.ts';
import { capabilityNumbers, rlimits } from './linux-flags.ts';
import type { PlanStep } from './plan.ts';
import { loadSteps, type SeccompFilter } from './seccomp-filter.ts';

/** What of the host a process can be given. */
export interface ProcessHost {
  /** Our own permitted capabilities, as bits. */
  readonly capabilities: bigint;
  /** Security modules that are switched on; absent for none. */
  readonly modules?: SecurityModules;
}

/** Where exec fails, and what init is given. */
export interface Command {
  readonly candidates: readonly string[];
  readonly argv: readonly string[];
  /** The program goes on to report on the status channel. */
  readonly reports: boolean;
}

const defaultUmask = 0o022;
const infinity = 2n ** 64n - 1n;

/** -1 and everything beyond a signed number mean no limit. */
const limitValue = (value: Integer): bigint => (value < 0 || value >= 2n ** 63n ? infinity : BigInt(value));

export function rlimitSteps(process: Process): readonly PlanStep[] {
  return (process.rlimits ?? []).map(({ type, soft, hard }) => {
    const resource = rlimits[type];
    if (resource === undefined) throw new GantryError('invalid', `unknown rlimit "${type}"`);
    if (limitValue(soft) > limitValue(hard))
      throw new GantryError('invalid', `${type}: the soft limit ${soft} is above the hard limit ${hard}`);
    return {
      name: 'rlimit',
      args: [resource, limitValue(soft), limitValue(hard)],
      about: `setting ${type} to ${soft}:${hard}`,
    };
  });
}

/** Capabilities as bits. What the host does not have cannot be given and is left out, as runc does. */
function capabilityBits(names: readonly string[] | undefined, host: ProcessHost): bigint {
  let bits = 0n;
  for (const name of names ?? []) {
    const number = capabilityNumbers.get(name);
    if (number === undefined) throw new GantryError('invalid', `unknown capability "${name}"`);
    bits |= 1n << BigInt(number);
  }
  return bits & host.capabilities;
}

/** One command's files to try, as execvp(3): as it is where it has a slash, else in each directory of PATH. */
export function commandOf(process: Process): Command {
  const [name] = process.args;
  if (name === undefined || name === '') throw new GantryError('invalid', 'no command given', { code: 'no-command' });
  const path = (process.env ?? []).findLast((entry) => entry.startsWith('PATH='))?.slice('PATH='.length) ?? '';
  const candidates = name.includes('/')
    ? [name]
    : path
        .split(':')
        .filter((directory) => directory !== '')
        .map((directory) => `${directory}/${name}`);
  return { candidates, argv: process.args, reports: false };
}

const stdioOwnerStep = (uid: number): PlanStep => ({ name: 'stdio-owner', args: [uid] });

/**
 * What of a process only the host may do, for one that goes into a user namespace: hard limits may be raised, and its
 * pipes are the host's. `owner` is its uid as the host sees it, where that is known.
 */
export const hostRightsSteps = (process: Process, owner: number | undefined): readonly PlanStep[] => [
  ...rlimitSteps(process),
  ...(process.terminal || owner === undefined ? [] : [stdioOwnerStep(owner)]),
];

/** Steps that stand before `ready`: what can fail for reasons of the specification fails at create. */
export function earlyProcessSteps(
  process: Process,
  options: { readonly bindConsole: boolean; readonly userNamespace: boolean },
): readonly PlanStep[] {
  const { uid } = process.user;
  if (!process.cwd.startsWith('/'))
    throw new GantryError('invalid', `the working directory "${process.cwd}" must be an absolute path`);
  const { height = 0, width = 0 } = process.consoleSize ?? {};
  return [
    { name: 'session', args: [] },
    ...(process.terminal
      ? [
          {
            name: 'console' as const,
            args: [height, width, uid, options.bindConsole ? 1 : 0],
            about: 'making the terminal',
          },
        ]
      : []),
    ...(options.userNamespace ? [] : [...(process.terminal ? [] : [stdioOwnerStep(uid)]), ...rlimitSteps(process)]),
    { name: 'cwd', args: [process.cwd], about: 'changing to the working directory' },
  ];
}

/** Steps between the start and exec, which drop all that the process may not keep; `last` comes when that is gone. */
export function lateProcessSteps(
  process: Process,
  seccomp: SeccompFilter | undefined,
  host: ProcessHost,
  command: Command,
  last: readonly PlanStep[] = [],
): readonly PlanStep[] {
  const { user, capabilities = {} } = process;
  const sets = {
    bounding: capabilityBits(capabilities.bounding, host),
    effective: capabilityBits(capabilities.effective, host),
    permitted: capabilityBits(capabilities.permitted, host),
    inheritable: capabilityBits(capabilities.inheritable, host),
    ambient: capabilityBits(capabilities.ambient, host),
  };
  // The kernel raises only what is permitted and inheritable (capabilities(7)); runc leaves the others out too.
  sets.ambient &= sets.permitted & sets.inheritable;
  const groups = Buffer.alloc((user.additionalGids?.length ?? 0) * 4);
  user.additionalGids?.forEach((gid, index) => void groups.writeUInt32LE(gid, index * 4));
  const drop: readonly PlanStep[] = [
    { name: 'capset', args: [sets.effective, sets.permitted, sets.inheritable] },
    { name: 'ambient', args: [sets.ambient] },
  ];
  const load = loadSteps(seccomp);
  return [
    { name: 'umask', args: [user.umask ?? defaultUmask] },
    { name: 'bounding', args: [sets.bounding] },
    { name: 'keep-caps', args: [] },
    { name: 'groups', args: [groups] },
    { name: 'ids', args: [user.uid, user.gid] },
    // A filter may be loaded with no-new-privileges or with CAP_SYS_ADMIN, which the change of user took away.
    ...(process.noNewPrivileges
      ? [...drop, { name: 'no-new-privileges' as const, args: [] }, ...load]
      : [
          ...(load.length === 0
            ? []
            : [{ name: 'capset' as const, args: [host.capabilities, host.capabilities, 0] }, ...load]),
          ...drop,
        ]),
    ...last,
    {
      name: 'exec',
      args: [command.candidates, command.argv, process.env ?? [], command.reports ? 1 : 0],
      about: `running ${process.args[0]}`,
    },
  ];
}
