import { realpathSync, statSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { GantryError } from '#errors/index.ts';
import { openCgroups } from '#linux/index.ts';
import type { RuntimeSpec } from '#oci/index.ts';
import { compileContainer, seccompFilterOf } from '../compile-plan.ts';
import { cgroupDirectories, ownCapabilities } from '../launcher-runtime.ts';
import type { CgroupDirectory } from '../namespace-steps.ts';
import type { OptionRules } from './arguments.ts';
import { readConfig } from './config.ts';
import {
  type ContainerState,
  configOf,
  directoryOf,
  fifoOf,
  makeStateDirectory,
  planOf,
  removeStateDirectory,
  writeState,
  writeWhole,
} from './container-state.ts';
import type { Command, Context } from './context.ts';
import { deviceRules } from './device-rules.ts';
import { type LaunchedProcess, launchProcess, makeFifo } from './launch.ts';

/** Options of everything that makes a container. */
export const createOptions: OptionRules = {
  bundle: { kind: 'text', short: 'b' },
  'console-socket': { kind: 'text' },
  'pid-file': { kind: 'text' },
  'preserve-fds': { kind: 'text' },
  'no-pivot': { kind: 'flag' },
  'no-new-keyring': { kind: 'flag' },
};

export function preserveFds(context: Context): number {
  const given = context.options.text('preserve-fds') ?? '0';
  if (!/^\d{1,4}$/.test(given))
    throw new GantryError('invalid', `--preserve-fds ${given}: give the number of file descriptors after the third`);
  // bin/gantry-runtime says what was open before Node opened its own.
  const open = process.env.GANTRY_OPEN_FDS?.split(' ') ?? [];
  for (let fd = 3; fd < 3 + Number(given); fd++)
    if (!open.includes(String(fd)))
      throw new GantryError('invalid', `--preserve-fds ${given}: file descriptor ${fd} is not open`);
  return Number(given);
}

/** Where the container's cgroup is made (config-linux.md#cgroups-path): a relative path is below our own, as with runc. */
function cgroupPlace(spec: RuntimeSpec, id: string): { readonly path: string; readonly below: 'own' | 'root' } {
  const path = spec.linux?.cgroupsPath ?? '';
  if (path === '') return { path: `/gantry-runtime-${id}`, below: 'own' };
  if (/^[^/]*\.slice:/.test(path))
    throw new GantryError(
      'unsupported',
      `config.json: /linux/cgroupsPath is "${path}"; systemd's cgroups are not supported, use a path`,
    );
  return path.startsWith('/') ? { path, below: 'root' } : { path: `/${path}`, below: 'own' };
}

function rootfsOf(path: string): string {
  try {
    if (statSync(path).isDirectory()) return realpathSync(path);
  } catch (cause) {
    throw new GantryError('not-found', `config.json: /root/path is "${path}"; there is no such directory`, { cause });
  }
  throw new GantryError('invalid', `config.json: /root/path is "${path}"; it must be a directory`);
}

export interface Created {
  readonly state: ContainerState;
  readonly process: LaunchedProcess;
}

/**
 * Makes a container of a bundle (runtime-spec: runtime.md#create). In the foreground its process starts at once, else it
 * waits on the fifo until `start`.
 * @throws GantryError; then everything made is undone
 */
export async function createContainer(context: Context, options: { readonly foreground: boolean }): Promise<Created> {
  const { id, root } = context;
  directoryOf(root, id); // a bad id is refused first
  if (context.options.flag('no-pivot'))
    throw new GantryError('unsupported', '--no-pivot is not supported: without pivot_root the host stays reachable');
  const bundle = resolve(context.options.text('bundle') ?? '.');
  const spec = readConfig(bundle);
  const fds = preserveFds(context);
  const rootfs = rootfsOf(spec.root.path);
  const place = cgroupPlace(spec, id);
  const cgroups = openCgroups();
  // Compiled once without a place in the cgroups, so that what cannot be compiled is refused before anything is made.
  const seccomp = seccompFilterOf(spec);
  const compile = (directories: readonly CgroupDirectory[]) =>
    compileContainer({
      spec,
      seccomp,
      rootfs: [{ destination: '/', type: 'bind', source: rootfs, options: ['rbind'] }],
      cgroup: directories,
      host: { capabilities: ownCapabilities(), hierarchies: cgroups.hierarchies },
    });
  compile([]);

  const state: ContainerState = {
    ociVersion: spec.ociVersion,
    id,
    pid: 0,
    startTime: '0',
    bundle,
    rootfs,
    created: new Date().toISOString(),
    cgroup: [],
    annotations: spec.annotations ?? {},
  };
  const directory = makeStateDirectory(root, id);
  try {
    writeState(directory, state);
    writeFileSync(configOf(directory), JSON.stringify(spec), { mode: 0o600 });
    const resources = spec.linux?.resources ?? {};
    const limits = { ...resources, devices: deviceRules(resources.devices) };
    const made = cgroups.create(place.path, limits, place);
    try {
      writeState(directory, { ...state, cgroup: made.directories });
      if (!options.foreground) makeFifo(fifoOf(directory));
      const consoleSocket = context.options.text('console-socket');
      const launched = await launchProcess({
        planPath: planOf(directory),
        steps: compile(cgroupDirectories(made, cgroups)),
        preserveFds: fds,
        terminal: spec.process?.terminal ?? false,
        consoleSocket: consoleSocket === undefined ? undefined : resolve(consoleSocket),
        foreground: options.foreground,
        ...(options.foreground ? {} : { startFifo: fifoOf(directory) }),
      });
      const alive = { ...state, cgroup: made.directories, pid: launched.pid, startTime: launched.startTime };
      writeState(directory, alive);
      const pidFile = context.options.text('pid-file');
      if (pidFile !== undefined) writeWhole(resolve(pidFile), String(launched.pid), 0o644);
      return { state: alive, process: launched };
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
  usage: 'create [--bundle DIR] [--pid-file FILE] [--console-socket PATH] [--preserve-fds N] ID',
  about: 'make a container whose process waits for start',
  async run(context) {
    await createContainer(context, { foreground: false });
    return 0;
  },
};
