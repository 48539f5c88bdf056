import { readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { GantryError, messageOf } from '#errors/index.ts';
import { openCgroups } from '#linux/index.ts';
import type { Process, RuntimeSpec } from '#oci/index.ts';
import { compileExec, namespacesOf, seccompFilterOf } from '../compile-plan.ts';
import { cgroupDirectories, ownCapabilities } from '../launcher-runtime.ts';
import type { PlanStep } from '../plan.ts';
import { parseProcess } from './config.ts';
import { statusOf } from './container-process.ts';
import { type ContainerState, configOf, directoryOf, readState, writeWhole } from './container-state.ts';
import type { Command, Context } from './context.ts';
import { preserveFds } from './create.ts';
import { launchProcess, makeFifo } from './launch.ts';
import { release } from './start.ts';

function userOf(given: string): Process['user'] {
  const match = given.match(/^(\d+)(?::(\d+))?$/);
  if (match === null)
    throw new GantryError(
      'invalid',
      `--user ${given}: give numbers, UID or UID:GID; names are of the image, not of the host`,
    );
  return { uid: Number(match[1]), gid: Number(match[2] ?? 0) };
}

/** What to run: the file of `--process`, or the container's own process with other words, and options on top. */
function processOf({ options, words }: Context, spec: RuntimeSpec): Process {
  const file = options.text('process');
  if (file !== undefined) {
    if (words.length > 0)
      throw new GantryError('invalid', `exec: give --process or a command, not both ("${words[0]}")`);
    let json: string;
    try {
      json = readFileSync(file, 'utf8');
    } catch (cause) {
      throw new GantryError('not-found', `--process ${file}: ${messageOf(cause)}`, { cause });
    }
    const process = parseProcess(json, file);
    return options.flag('tty') ? { ...process, terminal: true } : process;
  }
  if (words.length === 0 || spec.process === undefined)
    throw new GantryError('invalid', 'exec: give a command, or a description of one with --process');
  const { terminal: _, consoleSize: __, ...inherited } = spec.process;
  const user = options.text('user');
  return {
    ...inherited,
    args: words,
    env: [...(inherited.env ?? []), ...options.list('env')],
    cwd: options.text('cwd') ?? inherited.cwd,
    terminal: options.flag('tty'),
    ...(user === undefined ? {} : { user: userOf(user) }),
  };
}

function compile(state: ContainerState, spec: RuntimeSpec, process: Process): readonly PlanStep[] {
  const cgroups = openCgroups();
  return compileExec({
    process,
    seccomp: seccompFilterOf(spec),
    target: { pid: state.pid, startTime: BigInt(state.startTime), namespaces: namespacesOf(spec) },
    cgroup: cgroupDirectories(cgroups.at(state.cgroup), cgroups),
    host: { capabilities: ownCapabilities() },
  });
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
  },
  words: [1, Number.POSITIVE_INFINITY],
  usage: 'exec [--detach] [--tty] [--process FILE] [--env K=V] [--cwd DIR] [--user UID:GID] ID [COMMAND …]',
  about: 'run one more process in a container; its exit code is the answer',
  async run(context) {
    const { root, id, options } = context;
    const state = readState(root, id);
    const status = statusOf(root, state);
    if (status !== 'running' && status !== 'created')
      throw new GantryError('conflict', `container ${id} is ${status}, not running`, { code: 'not-running' });
    const directory = directoryOf(root, id);
    const spec = JSON.parse(readFileSync(configOf(directory), 'utf8')) as RuntimeSpec;
    const described = processOf(context, spec);
    const detach = options.flag('detach');
    const consoleSocket = options.text('console-socket');
    const pidFile = options.text('pid-file');
    const own = `${directory}/exec-${process.pid}`;
    const fifo = `${own}.fifo`;
    try {
      if (detach) makeFifo(fifo);
      const launched = await launchProcess({
        planPath: own,
        steps: compile(state, spec, described),
        preserveFds: preserveFds(context),
        terminal: described.terminal ?? false,
        consoleSocket: consoleSocket === undefined ? undefined : resolve(consoleSocket),
        foreground: !detach,
        ...(detach ? { startFifo: fifo } : {}),
      });
      if (pidFile !== undefined) writeWhole(resolve(pidFile), String(launched.pid), 0o644);
      if (!detach) return await launched.exited;
      await release(fifo, launched);
      return 0;
    } finally {
      rmSync(own, { force: true });
      rmSync(fifo, { force: true });
    }
  },
};
