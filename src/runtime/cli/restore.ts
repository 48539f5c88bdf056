import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import { openCgroups } from '#linux/index.ts';
import type { RuntimeSpec } from '#oci/index.ts';
import { networkKey } from './checkpoint.ts';
import { type CheckpointRecord, type ExternalMount, readRecord } from './checkpoint-record.ts';
import type { Configuration } from './config.ts';
import { processStat } from './container-process.ts';
import type { ContainerState } from './container-state.ts';
import type { Command, Context } from './context.ts';
import { takeContainer } from './create.ts';
import { criuDirectories, criuFlags, criuOptions, runCriu } from './criu.ts';
import { requireLauncher } from './launcher.ts';
import { destroyAfter, handOverContainer } from './run.ts';
import { afterStart } from './start.ts';

/** @throws GantryError unsupported for what would be left out */
function checkRestore({ hooks = {} }: RuntimeSpec): void {
  for (const kind of ['prestart', 'createRuntime', 'createContainer', 'startContainer'] as const)
    if ((hooks[kind] ?? []).length > 0)
      throw new GantryError(
        'unsupported',
        `restore: hooks.${kind} run while a container is made, and this one is not made anew`,
      );
}

type Hierarchies = ReturnType<typeof openCgroups>['hierarchies'];

/** A cgroup's directories, each below its hierarchy's mount. */
const placesOf = (hierarchies: Hierarchies, directories: readonly string[]) =>
  hierarchies.flatMap(({ mountpoint, controllers, version }) => {
    const directory = directories.find((path) => path.startsWith(`${mountpoint}/`));
    return directory === undefined
      ? []
      : [{ name: version === 2 ? '' : controllers, directory, below: directory.slice(mountpoint.length) }];
  });

/** What comes to a mount that is not in the images. @throws GantryError not-found */
function sourceOf(mount: ExternalMount, places: ReturnType<typeof placesOf>): string {
  if (mount.kind === 'null') return '/dev/null';
  if (mount.kind === 'bind') return mount.source;
  const [first = ''] = mount.controllers.split(',');
  const place = places.find(({ name }) => (first === '' ? name === '' : name.split(',').includes(first)));
  if (place === undefined)
    throw new GantryError(
      'not-found',
      `restore: this host has no cgroup hierarchy ${first || 'v2'}, mounted at ${mount.at}`,
    );
  return place.directory;
}

/** criu's words for all that the images hang together with; and the descriptors that those name. */
function connections(
  record: CheckpointRecord,
  spec: RuntimeSpec,
  directories: readonly string[],
): { readonly words: readonly string[]; readonly fds: readonly number[] } {
  const places = placesOf(openCgroups().hierarchies, directories);
  const files = record.files.flatMap(({ name, fd }) => ['--inherit-fd', `fd[${fd}]:${name}`]);
  const network = spec.linux?.namespaces?.find(({ type }) => type === 'network')?.path;
  if (record.network !== undefined && network === undefined)
    throw new GantryError(
      'invalid',
      'restore: the container had a network namespace from outside; config.json must name one',
    );
  const fds = record.network === undefined || network === undefined ? [] : [openSync(network, 'r')];
  return {
    words: [
      ...record.mounts.flatMap((mount) => ['--external', `mnt[${mount.at}]:${sourceOf(mount, places)}`]),
      ...places.flatMap(({ name, below }) => ['--cgroup-root', `${name}:${below}`]),
      ...files,
      ...(fds.length === 0 ? [] : ['--inherit-fd', `fd[3]:${networkKey}`]),
    ],
    fds,
  };
}

/** Has criu make the processes. @returns the first one's pid */
function restoreProcesses(context: Context, spec: Configuration, state: ContainerState): number {
  const { images, work } = criuDirectories(context, false);
  const pidFile = `${work}/restored-${process.pid}.pid`;
  const { words, fds } = connections(readRecord(images), spec, state.cgroup);
  try {
    const own = ['--root', state.rootfs, '--restore-detached', '--pidfile', pidFile];
    runCriu(context, 'restore', { images, work }, [...own, ...criuFlags(context), ...words], fds);
    return Number(readFileSync(pidFile, 'utf8'));
  } finally {
    for (const fd of fds) closeSync(fd);
    rmSync(pidFile, { force: true });
  }
}

/** criu(8), restore; the options are runc's. Limits, mounts from outside and the bundle are those of now. */
export const restore: Command = {
  options: {
    ...criuOptions,
    bundle: { kind: 'text', short: 'b' },
    detach: { kind: 'flag', short: 'd' },
    'pid-file': { kind: 'text' },
    'no-subreaper': { kind: 'flag' },
    'no-pivot': { kind: 'flag' },
  },
  words: [1, 1],
  usage: 'restore [--bundle DIR] [--image-path DIR] [--work-path DIR] [--detach] [--pid-file FILE] … ID',
  about: 'make a container of the images that checkpoint wrote, and let it go on',
  async run(context) {
    const { root, options } = context;
    const launcher = requireLauncher();
    const { images } = criuDirectories(context, false);
    readRecord(images); // refused before anything is made
    criuFlags(context);
    const detach = options.flag('detach');
    if (!detach) launcher.adoptOrphans();
    const { spec, state } = await takeContainer(context, checkRestore, (config, taken) => {
      const pid = restoreProcesses(context, config, taken);
      return { pid, startTime: processStat(pid)?.startTime ?? '0' };
    });
    await destroyAfter(root, state, () => afterStart(state, spec));
    if (detach) return 0;
    launcher.adopt(state.pid);
    handOverContainer(context, { spec, state });
    return 0;
  },
};
