import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { GantryError } from '#errors/index.ts';
import { type Cgroup, type Cgroups, openCgroups, SyscallError } from '#linux/index.ts';
import type { Process, RuntimeSpec } from '#oci/index.ts';
import { compileContainer } from '../compile-plan.ts';
import { moveNetDevices } from '../net-devices.ts';
import { cgroupDirectories, planHost } from '../plan-host.ts';
import { seccompFilterOf } from '../seccomp-filter.ts';
import type { OptionRules } from './arguments.ts';
import { type CgroupPlace, cgroupPlace } from './cgroup-place.ts';
import { type Configuration, readConfig } from './config.ts';
import {
  type ContainerState,
  directoryOf,
  fifoOf,
  makeStateDirectory,
  planOf,
  removeStateDirectory,
  writeConfig,
  writeState,
  writeWhole,
} from './container-state.ts';
import type { Command, Context } from './context.ts';
import { deviceRules } from './device-rules.ts';
import { launchProcess, makeFifo } from './launch.ts';
import { launcher } from './launcher.ts';
import { withOwnSteps } from './own-steps.ts';
import { requestedLimits } from './requested-limits.ts';

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

/** The host's mounts are prepared by root, in the host (preparation.ts). @throws GantryError unsupported */
function refuseWithoutRoot(): void {
  const uid = process.geteuid?.() ?? 0;
  if (uid !== 0)
    throw new GantryError(
      'unsupported',
      `user ${uid} cannot make containers: gantry-runtime needs root; run it as root, with a user namespace in config.json`,
    );
}

/** The command that removes a container, whatever there is of it. */
export const removalOf = ({ globals, id }: Context): readonly string[] => [...globals, 'delete', '--force', id];

export interface Created {
  readonly state: ContainerState;
  readonly spec: RuntimeSpec;
}

/**
 * Makes a container of a bundle (runtime-spec: runtime.md#create). In the foreground its process starts at once, else it
 * waits on the fifo until `start`.
 * @throws GantryError; then everything made is undone
 */
export async function createContainer(context: Context, options: { readonly foreground: boolean }): Promise<Created> {
  const { id, root } = context;
  directoryOf(root, id); // a bad id is refused first
  refuseWithoutRoot();
  const bundle = resolve(context.options.text('bundle') ?? '.');
  const fds = preservedFds(context);
  const spec = withEnvironment(readConfig(bundle), fds.env);
  const rootfs = rootfsOf(spec.root.path);
  const cgroups = openCgroups();
  const place = cgroupPlace(spec, id, context.systemdCgroup);
  const subject = { id, bundle };
  const host = planHost(cgroups);
  const seccomp = seccompFilterOf(spec, subject);
  const compile = (directories: readonly string[]) =>
    withOwnSteps(
      compileContainer({
        spec,
        seccomp,
        rootfs: [{ destination: '/', type: 'bind', source: rootfs, options: ['rbind'] }],
        cgroup: cgroupDirectories({ directories }, cgroups),
        subject,
        host,
      }),
      {
        process: spec.process,
        keyring: keyringOf(context),
        noPivot: context.options.flag('no-pivot'),
      },
    );
  // What cannot be compiled is refused before anything is made.
  const planned = cgroups.placeOf(place.path, place);
  const steps = compile(planned);
  const terminal = terminalOf(context, spec.process, options);

  const state: ContainerState = {
    ociVersion: spec.ociVersion,
    id,
    pid: 0,
    startTime: '0',
    bundle,
    rootfs,
    created: new Date().toISOString(),
    owner: process.getuid?.() ?? 0,
    cgroup: planned,
    annotations: spec.annotations ?? {},
  };
  if (options.foreground && Object.keys(spec.linux?.netDevices ?? {}).length > 0)
    throw new GantryError(
      'unsupported',
      'run: linux.netDevices must be there before the start; use create and start, or run --detach',
    );
  const directory = makeStateDirectory(root, id);
  if (options.foreground) launcher?.guard(removalOf(context));
  try {
    writeState(directory, state);
    writeConfig(directory, spec);
    const made = makeCgroup(cgroups, spec, place, context);
    try {
      if (made.directories.length !== planned.length) writeState(directory, { ...state, cgroup: made.directories });
      if (!options.foreground) makeFifo(fifoOf(directory));
      const launched = launchProcess({
        planPath: planOf(directory),
        steps: made.directories.length === planned.length ? steps : compile(made.directories),
        preserveFds: fds.count,
        ...terminal,
        foreground: options.foreground,
        ...(options.foreground ? {} : { startFifo: fifoOf(directory) }),
      });
      moveNetDevices(spec.linux?.netDevices, launched.pid);
      const alive = { ...state, cgroup: made.directories, pid: launched.pid, startTime: launched.startTime };
      writeState(directory, alive);
      writePidFile(context, launched.pid);
      return { state: alive, spec };
    } catch (error) {
      await made.kill();
      await made.remove();
      throw error;
    }
  } catch (error) {
    removeStateDirectory(root, id);
    throw error;
  }
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
