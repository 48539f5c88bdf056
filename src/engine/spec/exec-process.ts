import { GantryError } from '#errors/index.ts';
import type { Process } from '#oci/index.ts';
import type { Container, ExecOptions } from '../engine.ts';
import { capabilitiesOf, capabilitySets } from './capabilities.ts';
import { mergeEnv } from './environment.ts';
import { type Machine, thisMachine } from './machine.ts';
import { resolveUser } from './resolve-user.ts';
import { securityOf } from './security.ts';
import { rlimitsOf } from './ulimits.ts';

/**
 * The process of an exec: the container's, with what the caller changes. It has the container's ulimits, groups, seccomp
 * filter and OOM score; `privileged` gives it every capability and no AppArmor profile, as Docker does.
 * @throws GantryError invalid, naming user, variable or directory
 */
export function composeExecProcess(input: {
  readonly container: Container;
  readonly options: ExecOptions;
  readonly passwd: string;
  readonly group: string;
  /** Variables of legacy links. */
  readonly linkEnvironment?: readonly string[];
  /** Where it runs; this host where it is left out. */
  readonly machine?: Machine;
}): Process {
  const { container, options, machine: { modules, capabilities: possible } = thisMachine() } = input;
  const account = resolveUser(
    options.user ?? container.resolved.user,
    input.passwd,
    input.group,
    container.options.groupAdd,
  );
  const cwd = options.workingDir ?? container.resolved.workingDir;
  if (!cwd.startsWith('/'))
    throw new GantryError('invalid', `the working directory '${cwd}' is invalid, it needs to be an absolute path`);
  const bounding = capabilitiesOf(options.privileged ? { privileged: true } : container.options, possible);
  const env = mergeEnv(
    [
      [
        'engine',
        [...(options.terminal ? ['TERM=xterm'] : []), `HOME=${account.home}`, ...(input.linkEnvironment ?? [])],
      ],
      ['image', container.resolved.env.filter((entry) => !entry.startsWith('HOME='))],
      ['user', options.env ?? []],
    ],
    {},
  );
  const security = securityOf(container.options, bounding, modules);
  const { oomScoreAdj } = container.options;
  const umask = container.options.umask === undefined ? {} : { umask: container.options.umask };
  const apparmor = options.privileged && modules.apparmor ? 'unconfined' : security.apparmorProfile;
  return {
    terminal: options.terminal ?? false,
    user: { uid: account.uid, gid: account.gid, additionalGids: account.additionalGids, ...umask },
    args: options.command,
    env,
    cwd,
    capabilities: capabilitySets(bounding, account.uid === 0),
    rlimits: rlimitsOf(container.options, undefined),
    noNewPrivileges: security.noNewPrivileges,
    ...(oomScoreAdj === undefined ? {} : { oomScoreAdj }),
    ...(apparmor === undefined ? {} : { apparmorProfile: apparmor }),
    ...(security.selinuxLabel === undefined ? {} : { selinuxLabel: security.selinuxLabel }),
  };
}
