import { mkdir, stat } from 'node:fs/promises';
import { GantryError } from '#errors/index.ts';
import type { Context } from './context.ts';
import type { Container, ContainerMount, ContainerOptions, MountDetails, MountRequest } from './engine.ts';
import { checkPropagation } from './mount-propagation.ts';

type MountsContext = Pick<Context, 'volumes' | 'images' | 'driver' | 'store'>;

/** The diff that keeps an image's layers for a container while it is mounted there. */
export const imageDiff = (containerId: string, index: number): string => `${containerId}.image${index}`;
/** The container whose diff this is. */
export const ownerOfDiff = (diff: string): string | undefined => /^([0-9a-f]{64})(?:\.image\d+)?$/.exec(diff)?.[1];

/**
 * Turns what was asked for, and the VOLUMEs of image and person, into mounts with a source; volumes are made and marked as used.
 * Each is pushed to `mounts` as it comes to be, so that a caller can undo what a failure leaves.
 * @throws GantryError invalid, naming the bind source
 */
export async function resolveMounts(
  context: MountsContext,
  containerId: string,
  options: Pick<ContainerOptions, 'mounts' | 'volumesFrom' | 'tmpfs'>,
  anonymous: readonly string[],
  mounts: ContainerMount[],
): Promise<void> {
  const { volumes } = context;
  const useVolume = async (mount: Omit<MountRequest, 'type'>) => {
    const { source, labels = {}, volumeOptions = {}, readOnly = false, noCopy = false } = mount;
    const made = { labels, options: volumeOptions };
    const volume = await volumes.create(source === undefined ? made : { name: source, ...made });
    volumes.use(volume.name, containerId);
    mounts.push({
      type: 'volume',
      name: volume.name,
      source: volume.path,
      target: mount.target,
      readOnly,
      noCopy,
      ...detailsOf(mount),
    });
  };
  for (const mount of options.mounts ?? []) {
    const { target } = mount;
    const readOnly = mount.readOnly ?? false;
    checkTarget(target);
    if (mounts.some((m) => m.target === target))
      throw new GantryError('invalid', `Duplicate mount point: ${target}; mount one thing there`);
    switch (mount.type) {
      case 'tmpfs':
        mounts.push({ type: 'tmpfs', source: '', target, readOnly });
        break;
      case 'bind':
        mounts.push({ type: 'bind', source: await bindSource(mount), target, readOnly, ...detailsOf(mount) });
        break;
      case 'volume':
        checkSubpath(mount);
        await useVolume(mount);
        break;
      case 'image':
        await useImage(context, containerId, mount, mounts);
    }
  }
  for (const from of options.volumesFrom ?? []) takeFrom(context, containerId, from, mounts);
  const taken = (target: string) =>
    mounts.some((m) => m.target === target) || Object.hasOwn(options.tmpfs ?? {}, target);
  for (const target of anonymous)
    if (!taken(target)) {
      checkTarget(target);
      await useVolume({ target });
    }
}

function checkTarget(target: string): void {
  if (!target.startsWith('/') || target === '/')
    throw new GantryError('invalid', `invalid mount path: '${target}' mount path must be absolute, and not /`);
}

/** The details that were given, without those of the request alone. */
function detailsOf(mount: MountDetails): MountDetails {
  const { propagation, nonRecursive, writableBelow, subpath, ownerAs } = mount;
  return {
    ...(propagation === undefined ? {} : { propagation }),
    ...(nonRecursive ? { nonRecursive } : {}),
    ...(writableBelow ? { writableBelow } : {}),
    ...(subpath === undefined ? {} : { subpath }),
    ...(ownerAs === undefined ? {} : { ownerAs }),
  };
}

/** @throws GantryError invalid for a path that is absolute or climbs out; links are looked at when it is opened */
function checkSubpath({ subpath }: MountRequest): void {
  if (subpath !== undefined && (subpath.startsWith('/') || subpath.split('/').includes('..')))
    throw new GantryError('invalid', `invalid volume subpath "${subpath}": it must be relative and stay inside`);
}

async function bindSource(mount: MountRequest): Promise<string> {
  const { source = '', createSource } = mount;
  if (!source.startsWith('/'))
    throw new GantryError('invalid', `invalid mount: the bind source "${source}" must be an absolute path`);
  const exists = await stat(source).then(
    () => true,
    () => false,
  );
  if (!exists) {
    if (!createSource)
      throw new GantryError(
        'invalid',
        `invalid mount config for type "bind": bind source path does not exist: ${source}`,
      );
    await mkdir(source, { recursive: true });
  }
  await checkPropagation(source, mount.propagation);
  return source;
}

/** An image's whole tree, read-only. A diff on top keeps its layers while the container exists. */
async function useImage(
  { images, driver }: MountsContext,
  containerId: string,
  { source = '', target }: MountRequest,
  mounts: ContainerMount[],
): Promise<void> {
  const image = await images.get(source);
  const diff = imageDiff(containerId, mounts.length);
  await driver.createDiff(diff, image.chainId);
  mounts.push({ type: 'image', name: source, source: diff, target, readOnly: true });
}

/** `--volumes-from NAME[:ro|:rw]`: the volumes and binds of another container, where nothing else is mounted. */
function takeFrom(
  { store, volumes }: MountsContext,
  containerId: string,
  from: string,
  mounts: ContainerMount[],
): void {
  const [, name = from, mode = ''] = /^(.*?)(?::(ro|rw|z|Z))?$/.exec(from) ?? [];
  for (const mount of store.find(name).mounts) {
    if (mount.type !== 'volume' && mount.type !== 'bind') continue;
    if (mounts.some(({ target }) => target === mount.target)) continue;
    if (mount.type === 'volume' && mount.name !== undefined) volumes.use(mount.name, containerId);
    mounts.push({ ...mount, readOnly: mount.readOnly || mode === 'ro' });
  }
}

/** Ends a container's hold on its volumes and images; with `andRemove`, volumes made for it alone go too. */
export async function releaseMounts(
  { volumes, driver }: Pick<Context, 'volumes' | 'driver'>,
  containerId: string,
  mounts: Container['mounts'],
  andRemove: boolean,
): Promise<void> {
  volumes.unmount(containerId);
  volumes.release(containerId);
  for (const { type, source } of mounts) if (type === 'image') await driver.removeDiff(source);
  if (!andRemove) return;
  for (const { type, name } of mounts)
    if (type === 'volume' && name !== undefined && volumes.get(name)?.anonymous && volumes.usersOf(name).length === 0)
      await volumes.remove(name);
}
