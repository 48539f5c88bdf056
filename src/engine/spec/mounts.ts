import { GantryError } from '#errors/index.ts';
import type { Mount } from '#oci/index.ts';
import type { ContainerOptions } from '../engine.ts';
import { defaultMounts } from './defaults.ts';

const defaultSharedMemory = 64 * 1024 * 1024;

const bind = (source: string, destination: string, readOnly: boolean): Mount => ({
  destination,
  type: 'bind',
  source,
  options: ['rbind', 'rprivate', readOnly ? 'rro' : 'rw'],
});

const memory = (destination: string, options: readonly string[]): Mount => ({
  destination,
  type: 'tmpfs',
  source: 'tmpfs',
  options: ['nosuid', 'nodev', 'noexec', ...options],
});

/** The mount as a user namespace sees it: what is 0's on disk is its 0's (runtime-spec: config.md#linux-mount-options). */
export const idMapped = (mount: Mount): Mount => ({ ...mount, options: [...(mount.options ?? []), 'idmap'] });

/** The kernel's own filesystems, with /dev/shm and /dev/mqueue of the ipc namespace that the container is in. */
function kernelMounts(options: ContainerOptions, sharedMemory: string | undefined): readonly Mount[] {
  const defaults = defaultMounts({
    shmSize: options.shmSizeBytes ?? defaultSharedMemory,
    sysReadOnly: !options.privileged,
  });
  const shm = options.ipcMode === 'host' ? '/dev/shm' : sharedMemory;
  return defaults.flatMap((mount): readonly Mount[] => {
    if (mount.destination !== '/dev/shm') return [mount];
    if (options.ipcMode === 'none') return [];
    return [shm === undefined ? mount : bind(shm, mount.destination, false)];
  });
}

/**
 * All mounts of a container in order: the kernel's, the engine's files in /etc, memory filesystems, volumes and binds.
 * @throws GantryError invalid, naming the target
 */
export function mountsOf(input: {
  readonly options: ContainerOptions;
  /** Volumes, binds and images, ready to be mounted. */
  readonly mounts: readonly Mount[];
  readonly files: { readonly hosts: string; readonly hostname: string; readonly resolvConf: string } | undefined;
  readonly sharedMemory: string | undefined;
  readonly ownUsers: boolean;
}): readonly Mount[] {
  const { options, files } = input;
  const own = new Set(input.mounts.map((mount) => mount.destination));
  const managed: readonly Mount[] =
    files === undefined
      ? []
      : [
          bind(files.resolvConf, '/etc/resolv.conf', false),
          bind(files.hostname, '/etc/hostname', false),
          bind(files.hosts, '/etc/hosts', false),
        ]
          .filter((mount) => !own.has(mount.destination))
          .map((mount) => (input.ownUsers ? idMapped(mount) : mount));
  const mounts: readonly Mount[] = [
    ...kernelMounts(options, input.sharedMemory),
    ...managed,
    ...Object.entries(options.tmpfs ?? {}).map(([target, text]) =>
      memory(
        target,
        text.split(',').filter((option) => option !== ''),
      ),
    ),
    ...input.mounts,
  ];
  for (const { destination } of mounts)
    if (!destination.startsWith('/'))
      throw new GantryError('invalid', `invalid mount path: '${destination}' mount path must be absolute`);
  return mounts;
}
