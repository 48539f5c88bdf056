import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { GantryError } from '#errors/index.ts';
import { type Cgroup, type Cgroups, openCgroups, SyscallError } from '#linux/index.ts';
import type { Process, RuntimeSpec } from '#oci/index.ts';
import { type CgroupPlace, cgroupPlace } from '../cgroup-place.ts';
import { compileContainer } from '../compile-plan.ts';
import { moveNetDevices } from '../net-devices.ts';
import { cgroupDirectories, planHost } from '../plan-host.ts';
import { seccompFilterOf } from '../seccomp-filter.ts';
import type { OptionRules } from './arguments.ts';
import { type Configuration, readConfig } from './config.ts';
import {
  type ContainerState,
  directoryOf,
  fifoOf,
  joinedDirectories,
  makeStateDirectory,
  planOf,
  removeStateDirectory,
  writeConfig,
  writeState,
  writeWhole,
} from './container-state.ts';
import type { Command, Context } from './context.ts';
import { deviceRules } from './device-rules.ts';
import { makeRdtGroups, type RdtGroups, removeRdtGroups } from './intel-rdt.ts';
import { launchProcess, makeFifo } from './launch.ts';
import { launcher, requireLauncher } from './launcher.ts';
import { withOwnSteps } from './own-steps.ts';
import { requestedLimits } from './requested-limits.ts';
import { rootlessConfiguration, rootlessUser } from './rootless.ts';

/** Options of everything that makes a container. */
export const createOptions: OptionRules = {
  bundle: { kind: 'text', short: 'b' },
  'console-socket': { kind: 'text' },
  'pid-file': { kind: 'text' },
  'preserve-fds': { kind: 'text' },
  'no-pivot': { kind: 'flag' },
  'no-new-keyring': { kind: 'flag' },
};

/** Descriptors of ours that the process gets: those of socket activation (sd_listen_fds(3)), then those asked for. */
export interface PreservedFds {
  readonly count: number;
  readonly env: readonly string[];
}

export function preservedFds(context: Context): PreservedFds {
  const asked = context.options.text('preserve-fds') ?? '0';
  if (!/^\d{1,4}$/.test(asked))
    throw new GantryError('invalid', `--preserve-fds ${asked}: give the number of file descriptors after the third`);
  const { LISTEN_FDS = '', LISTEN_PID = '' } = process.env;
  const { givenFds = 0, pid } = launcher ?? {};
  const listening = /^\d{1,4}$/.test(LISTEN_FDS) && LISTEN_PID === String(pid) ? Number(LISTEN_FDS) : 0;
  const count = listening + Number(asked);
  const fd = 3 + givenFds;
  if (count > givenFds)
    throw new GantryError(
      'invalid',
      fd < 3 + listening
        ? `LISTEN_FDS=${LISTEN_FDS}: file descriptor ${fd} is not open`
        : `--preserve-fds ${asked}: file descriptor ${fd} is not open`,
    );
  return { count, env: listening > 0 ? [`LISTEN_FDS=${listening}`, 'LISTEN_PID=1'] : [] };
}

const withEnvironment = (spec: Configuration, env: readonly string[]): Configuration => ({
  ...spec,
  process: { ...spec.process, env: [...(spec.process.env ?? []), ...env] },
});

/** A session keyring's name; the same for all processes of a container. */
export const keyringOf = ({ id, options }: Context): string | undefined =>
  options.flag('no-new-keyring') ? undefined : `_ses.${id}`;

/** Where a process's terminal goes. @throws GantryError invalid where that fits neither the process nor the command */
export function terminalOf(
  { options }: Context,
  { terminal = false }: Process,
  { foreground }: { readonly foreground: boolean },
): { readonly consoleSocket: string | undefined } {
  const socket = options.text('console-socket');
  if (terminal && socket === undefined && !foreground)
    throw new GantryError(
      'invalid',
      'process.terminal is true, so the terminal must go somewhere: give --console-socket PATH',
    );
  if (!terminal && socket !== undefined)
    throw new GantryError(
      'invalid',
      `--console-socket ${socket}: process.terminal is false, so there is no terminal to send`,
    );
  return { consoleSocket: socket === undefined ? undefined : resolve(socket) };
}

export function writePidFile({ options }: Context, pid: number): void {
  const path = options.text('pid-file');
  if (path !== undefined) writeWhole(resolve(path), String(pid), 0o644);
}

function rootfsOf(path: string): string {
  try {
    if (statSync(path).isDirectory()) return realpathSync(path);
  } catch (cause) {
    throw new GantryError('not-found', `config.json: /root/path is "${path}"; there is no such directory`, { cause });
  }
  throw new GantryError('invalid', `config.json: /root/path is "${path}"; it must be a directory`);
}

/** The container's cgroup with its limits. */
function makeCgroup(cgroups: Cgroups, spec: RuntimeSpec, place: CgroupPlace, { rootless }: Context): Cgroup {
  const limits = requestedLimits(spec.linux?.resources ?? {});
  const { devices, ...counted } = limits;
  try {
    return cgroups.create(place.path, { ...counted, devices: deviceRules(devices) }, place);
  } catch (error) {
    // Without the right to make one there is nothing to be limited by, and device nodes cannot be made either.
    const denied = error instanceof SyscallError && ['EACCES', 'EPERM', 'EROFS'].includes(error.code);
    if (!rootless || !denied || Object.keys(counted).length > 0) throw error;
    return cgroups.at([]);
  }
}

/** The command that removes a container, whatever there is of it. */
export const removalOf = ({ globals, id }: Context): readonly string[] => [...globals, 'delete', '--force', id];

export interface Created {
  readonly state: ContainerState;
  readonly spec: RuntimeSpec;
}

interface Beginning {
  readonly spec: Configuration;
  readonly state: ContainerState;
  readonly place: CgroupPlace;
}

/** What a container is to be, by the bundle and the options; nothing is made yet. @throws GantryError */
function beginningOf(context: Context, env: readonly string[]): Beginning {
  const { id, root } = context;
  directoryOf(root, id); // a bad id is refused first
  const bundle = resolve(context.options.text('bundle') ?? '.');
  const spec = withEnvironment(readConfig(bundle), env);
  const place = cgroupPlace(spec, id, context.systemdCgroup);
  const state: ContainerState = {
    ociVersion: spec.ociVersion,
    id,
    pid: 0,
    startTime: '0',
    bundle,
    rootfs: rootfsOf(spec.root.path),
    created: new Date().toISOString(),
    owner: process.getuid?.() ?? 0,
    cgroup: openCgroups().placeOf(place.path, place),
    annotations: spec.annotations ?? {},
  };
  return { spec, state, place };
}

/**
 * Takes the id, makes the cgroup, and has the first process made.
 * @param start makes it, and says the pid
 * @throws GantryError; then everything made is undone
 */
async function take(
  context: Context,
  { spec, state, place }: Beginning,
  guarded: boolean,
  start: (state: ContainerState) => Pick<ContainerState, 'pid' | 'startTime'>,
): Promise<Created> {
  const { id, root } = context;
  const directory = makeStateDirectory(root, id);
  if (guarded) launcher?.guard(removalOf(context));
  try {
    writeState(directory, state);
    writeConfig(directory, spec);
    const made = makeCgroup(openCgroups(), spec, place, context);
    let rdt: RdtGroups | undefined;
    try {
      if (spec.linux?.intelRdt !== undefined) rdt = makeRdtGroups(spec.linux.intelRdt, id);
      const begun = { ...state, cgroup: made.directories, ...(rdt && { rdt }) };
      if (rdt !== undefined || made.directories.length !== state.cgroup.length) writeState(directory, begun);
      const { pid, startTime } = start(begun);
      const alive = { ...begun, pid, startTime };
      writeState(directory, alive);
      writePidFile(context, pid);
      return { state: alive, spec };
    } catch (error) {
      await made.kill();
      await made.remove();
      if (rdt !== undefined) removeRdtGroups(rdt);
      throw error;
    }
  } catch (error) {
    removeStateDirectory(root, id);
    throw error;
  }
}

/** A container of a bundle whose processes come from elsewhere. `check` is asked before anything is made. */
export function takeContainer(
  context: Context,
  check: (spec: Configuration) => void,
  start: (spec: Configuration, state: ContainerState) => Pick<ContainerState, 'pid' | 'startTime'>,
): Promise<Created> {
  const beginning = beginningOf(context, []);
  check(beginning.spec);
  return take(context, beginning, false, (state) => start(beginning.spec, state));
}

/**
 * Makes a container of a bundle (runtime-spec: runtime.md#create). In the foreground its process starts at once, else it
 * waits on the fifo until `start`.
 * @throws GantryError; then everything made is undone
 */
export async function createContainer(context: Context, options: { readonly foreground: boolean }): Promise<Created> {
  const { id, root } = context;
  const fds = preservedFds(context);
  const beginning = beginningOf(context, fds.env);
  const { spec, state } = beginning;
  const user = rootlessUser();
  const planned = user === undefined ? spec : rootlessConfiguration(spec, user);
  const cgroups = openCgroups();
  const subject = { id, bundle: state.bundle };
  const host = planHost(cgroups);
  const seccomp = seccompFilterOf(spec, subject);
  const compile = (begun: ContainerState) =>
    withOwnSteps(
      compileContainer({
        spec: planned,
        seccomp,
        rootfs: [{ destination: '/', type: 'bind', source: state.rootfs, options: ['rbind'] }],
        cgroup: cgroupDirectories({ directories: joinedDirectories(begun) }, cgroups),
        subject,
        host,
      }),
      {
        process: spec.process,
        keyring: keyringOf(context),
        noPivot: context.options.flag('no-pivot'),
        rootless: user !== undefined,
      },
    );
  // What cannot be compiled is refused before anything is made.
  const steps = compile(state);
  const terminal = terminalOf(context, spec.process, options);
  if (options.foreground && Object.keys(spec.linux?.netDevices ?? {}).length > 0)
    throw new GantryError(
      'unsupported',
      'run: linux.netDevices must be there before the start; use create and start, or run --detach',
    );
  const directory = directoryOf(root, id);
  return await take(context, beginning, options.foreground, (begun) => {
    if (!options.foreground) makeFifo(fifoOf(directory));
    if (user !== undefined) requireLauncher().rootless();
    const launched = launchProcess({
      planPath: planOf(directory),
      steps: joinedDirectories(begun).length === state.cgroup.length ? steps : compile(begun),
      preserveFds: fds.count,
      ...terminal,
      foreground: options.foreground,
      ...(options.foreground ? {} : { startFifo: fifoOf(directory) }),
    });
    moveNetDevices(spec.linux?.netDevices, launched.pid);
    return launched;
  });
}

export const create: Command = {
  options: createOptions,
  words: [1, 1],
  usage:
    'create [--bundle DIR] [--pid-file FILE] [--console-socket PATH] [--preserve-fds N] [--no-pivot] [--no-new-keyring] ID',
  about: 'make a container whose process waits for start',
  async run(context) {
    await createContainer(context, { foreground: false });
    return 0;
  },
};
