import { readFileSync, rmSync } from 'node:fs';
import { GantryError, messageOf } from '#errors/index.ts';
import { openCgroups } from '#linux/index.ts';
import type { Capabilities, Process, RuntimeSpec } from '#oci/index.ts';
import { compileExec, execTargetOf } from '../compile-plan.ts';
import type { PlanStep } from '../plan.ts';
import { cgroupDirectories, planHost } from '../plan-host.ts';
import { seccompFilterOf } from '../seccomp-filter.ts';
import { parseProcess } from './config.ts';
import { statusOf } from './container-process.ts';
import { type ContainerState, directoryOf, joinedDirectories, readOwnConfig, readState } from './container-state.ts';
import type { Command, Context } from './context.ts';
import { keyringOf, preservedFds, terminalOf, writePidFile } from './create.ts';
import { execCgroup } from './exec-cgroup.ts';
import { launchProcess, makeFifo } from './launch.ts';
import { requireLauncher } from './launcher.ts';
import { withOwnSteps } from './own-steps.ts';
import { rootlessUser } from './rootless.ts';
import { release } from './start.ts';

const id32 = (text: string): boolean => /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32;

function userOf(given: string): Process['user'] {
  const [uid = '', gid = '0', ...more] = given.split(':');
  if (!id32(uid) || !id32(gid) || more.length > 0)
    throw new GantryError(
      'invalid',
      `--user ${given}: give numbers, UID or UID:GID; names are of the image, not of the host`,
    );
  return { uid: Number(uid), gid: Number(gid) };
}

function groupsOf(given: readonly string[]): readonly number[] {
  return given
    .flatMap((words) => words.split(','))
    .map((gid) => {
      if (!id32(gid)) throw new GantryError('invalid', `--additional-gids ${gid}: give a number`);
      return Number(gid);
    });
}

/** `--cap` goes into every set but the inheritable one (CVE-2022-24769), and so into the ambient one neither. */
function withCapabilities(given: Capabilities = {}, added: readonly string[]): Capabilities {
  for (const name of added)
    if (!/^CAP_[A-Z_]+$/.test(name)) throw new GantryError('invalid', `--cap ${name}: use a name like CAP_CHOWN`);
  const plus = (names: readonly string[] = []) => [...new Set([...names, ...added])];
  return {
    ...given,
    bounding: plus(given.bounding),
    effective: plus(given.effective),
    permitted: plus(given.permitted),
  };
}

function withOptions(process: Process, { options }: Context): Process {
  const user = options.text('user');
  const groups = options.list('additional-gids');
  const capabilities = options.list('cap');
  const [apparmor, label] = [options.text('apparmor'), options.text('process-label')];
  return {
    ...process,
    env: [...(process.env ?? []), ...options.list('env')],
    cwd: options.text('cwd') ?? process.cwd,
    ...(options.given('tty') ? { terminal: options.flag('tty') } : {}),
    ...(options.given('no-new-privs') ? { noNewPrivileges: options.flag('no-new-privs') } : {}),
    user: {
      ...(user === undefined ? process.user : userOf(user)),
      ...(groups.length === 0 ? {} : { additionalGids: groupsOf(groups) }),
    },
    ...(capabilities.length === 0 ? {} : { capabilities: withCapabilities(process.capabilities, capabilities) }),
    ...(apparmor === undefined ? {} : { apparmorProfile: apparmor }),
    ...(label === undefined ? {} : { selinuxLabel: label }),
  };
}

function readProcess(file: string): Process {
  let json: string;
  try {
    json = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new GantryError('not-found', `--process ${file}: ${messageOf(cause)}`, { cause });
  }
  return parseProcess(json, file);
}

/** What to run: the file of `--process`, or the container's own process with other words; and options on top. */
function processOf(context: Context, spec: RuntimeSpec): Process {
  const { options, words } = context;
  const file = options.text('process');
  if (file !== undefined) {
    if (words.length > 0)
      throw new GantryError('invalid', `exec: give --process or a command, not both ("${words[0]}")`);
    return withOptions(readProcess(file), context);
  }
  if (words.length === 0 || spec.process === undefined)
    throw new GantryError('invalid', 'exec: give a command, or a description of one with --process');
  const { consoleSize: _, ...inherited } = spec.process;
  return withOptions({ ...inherited, args: words, terminal: false }, context);
}

function compile(context: Context, state: ContainerState, spec: RuntimeSpec, process: Process): readonly PlanStep[] {
  const rootless = rootlessUser() !== undefined;
  const cgroups = openCgroups();
  const cgroup = execCgroup(cgroups, state.cgroup, context.options.list('cgroup'));
  const steps = compileExec({
    process,
    seccomp: seccompFilterOf(spec, state),
    target: {
      ...execTargetOf(spec),
      pid: state.pid,
      startTime: BigInt(state.startTime),
      byUserNamespace: rootless,
    },
    cgroup: cgroupDirectories({ directories: joinedDirectories({ ...state, cgroup: cgroup.directories }) }, cgroups),
    host: planHost(cgroups),
  });
  return withOwnSteps(steps, { process, keyring: keyringOf(context), rootless });
}

function checkStatus({ root, id, options }: Context, state: ContainerState): void {
  const status = statusOf(root, state);
  if (status === 'running' || status === 'created') return;
  if (status === 'paused' && options.flag('ignore-paused')) return;
  throw new GantryError(
    'conflict',
    status === 'paused'
      ? `cannot exec in container ${id}: it is paused; resume it, or use --ignore-paused`
      : `container not running: ${id} is ${status}`,
    { code: 'not-running' },
  );
}

export const exec: Command = {
  options: {
    process: { kind: 'text', short: 'p' },
    tty: { kind: 'flag', short: 't' },
    detach: { kind: 'flag', short: 'd' },
    'pid-file': { kind: 'text' },
    'console-socket': { kind: 'text' },
    'preserve-fds': { kind: 'text' },
    cwd: { kind: 'text' },
    env: { kind: 'list', short: 'e' },
    user: { kind: 'text', short: 'u' },
    'additional-gids': { kind: 'list', short: 'g' },
    cap: { kind: 'list', short: 'c' },
    'no-new-privs': { kind: 'flag' },
    'no-new-keyring': { kind: 'flag' },
    apparmor: { kind: 'text' },
    'process-label': { kind: 'text' },
    'ignore-paused': { kind: 'flag' },
    cgroup: { kind: 'list' },
  },
  words: [1, Number.POSITIVE_INFINITY],
  usage:
    'exec [--detach] [--tty] [--process FILE] [--env K=V] [--cwd DIR] [--user UID[:GID]] [--cap CAP] … ID [COMMAND …]',
  about: 'run one more process in a container; its exit code is the answer',
  async run(context) {
    const { root, id, options } = context;
    const state = readState(root, id);
    checkStatus(context, state);
    const detach = options.flag('detach');
    if (!detach) requireLauncher().guard([]);
    const directory = directoryOf(root, id);
    const spec = readOwnConfig(directory);
    const fds = preservedFds(context);
    const asked = processOf(context, spec);
    const described = { ...asked, env: [...(asked.env ?? []), ...fds.env] };
    const terminal = terminalOf(context, described, { foreground: !detach });
    const own = `${directory}/exec-${process.pid}`;
    const fifo = `${own}.fifo`;
    try {
      if (detach) makeFifo(fifo);
      const launched = launchProcess({
        planPath: own,
        steps: compile(context, state, spec, described),
        preserveFds: fds.count,
        ...terminal,
        foreground: !detach,
        ...(detach ? { startFifo: fifo } : {}),
      });
      writePidFile(context, launched.pid);
      if (detach) await release(fifo, launched);
      else requireLauncher().handOver([own], []);
      return 0;
    } finally {
      rmSync(own, { force: true });
      rmSync(fifo, { force: true });
    }
  },
};
