import { closeSync, fstatSync, rmdirSync } from 'node:fs';
import { mkdir, readdir, rmdir } from 'node:fs/promises';
import { GantryError, isGantryError } from '#errors/index.ts';
import { check, kernel, openDirectory, openInRoot } from '#linux/index.ts';
import type { Mount } from '#oci/index.ts';
import type { Context } from './context.ts';
import type { Container, ContainerMount } from './engine.ts';
import { readOnlyView } from './rootfs.ts';
import { type SpecMount, specMountOf } from './spec/volume-mounts.ts';

const [MS_BIND, MS_REC, MNT_DETACH, UMOUNT_NOFOLLOW] = [4096, 16384, 2, 8];

/** A container's mounts with their sources ready, until it has been created. */
export interface MountSources extends Disposable {
  readonly mounts: readonly SpecMount[];
}

/** Where subdirectories of volumes are bound while a container is made. */
export const mountPlaces = ({ options }: Pick<Context, 'options'>): string => `${options.execRoot}/mounts`;

/**
 * Makes ready what a container's mounts need: filesystems of volumes are mounted, a subpath is bound (a link in the volume
 * leads nowhere else), an image's layers are put together. Its files can change only once they are mounted.
 * @throws GantryError invalid, naming the mount; nothing stays open then
 */
export async function openMountSources(context: Context, container: Container): Promise<MountSources> {
  using undo = new DisposableStack();
  const mounts: SpecMount[] = [];
  for (const [index, mount] of container.mounts.entries()) {
    const place = `${mountPlaces(context)}/${container.id}-${index}`;
    mounts.push(await ready(context, container, mount, place, undo));
  }
  const held = undo.move();
  return { mounts, [Symbol.dispose]: () => held.dispose() };
}

async function ready(
  { volumes, driver }: Context,
  { id }: Container,
  mount: ContainerMount,
  place: string,
  undo: DisposableStack,
): Promise<SpecMount> {
  switch (mount.type) {
    case 'tmpfs':
      return specMountOf(mount, '');
    case 'bind':
      return specMountOf(mount, mount.source, mount.ownerAs === undefined ? undefined : ownerOf(mount.source));
    case 'volume': {
      const source = await volumes.mount(mount.name ?? '', id);
      return specMountOf(mount, mount.subpath === undefined ? source : await subdirectory(source, mount, place, undo));
    }
    case 'image': {
      const [tree] = readOnlyView(await driver.mounts(mount.source));
      if (tree === undefined) throw new GantryError('internal', `the image ${mount.name} has no layers`);
      return imageMount(tree, mount.target);
    }
  }
}

function imageMount(tree: Mount, destination: string): SpecMount {
  const options = (tree.options ?? []).filter((option) => option !== 'rw' && option !== 'ro');
  return { ...tree, destination, options: [...options, 'ro', 'nosuid', 'nodev'] };
}

/** The owner of what is mounted, as it is on the host. */
function ownerOf(path: string): { readonly uid: number; readonly gid: number } {
  const fd = openDirectory(path);
  try {
    const { uid, gid } = fstatSync(fd);
    return { uid, gid };
  } finally {
    closeSync(fd);
  }
}

/**
 * A directory of a volume, resolved inside it, bound where nobody can change it until the container has it (CVE-2023-2253's
 * kind: what a path names may change between a check and its use; what an open directory is cannot).
 */
async function subdirectory(
  root: string,
  { subpath = '', name }: ContainerMount,
  place: string,
  undo: DisposableStack,
): Promise<string> {
  const volume = openDirectory(root);
  try {
    const fd = openInRoot(volume, subpath, 'directory');
    try {
      await mkdir(place, { recursive: true });
      undo.defer(() => rmdirSync(place));
      check(kernel.call('mount', `/proc/self/fd/${fd}`, place, null, MS_BIND | MS_REC, null), 'mount', place);
      undo.defer(() => takeAway(place));
      return place;
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (!isGantryError(error, 'not-found') && !isGantryError(error, 'invalid')) throw error;
    throw new GantryError('invalid', `cannot access subpath "${subpath}" of volume ${name}: it is no directory there`, {
      cause: error,
    });
  } finally {
    closeSync(volume);
  }
}

const takeAway = (place: string) =>
  void check(kernel.call('umount2', place, MNT_DETACH | UMOUNT_NOFOLLOW), 'umount', place);

/** Takes away what an engine left that ended while containers were being made. */
export async function clearMountPlaces(directory: string): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    const place = `${directory}/${name}`;
    kernel.call('umount2', place, MNT_DETACH | UMOUNT_NOFOLLOW); // it may not have come to a mount
    await rmdir(place);
  }
}
