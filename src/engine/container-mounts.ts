import { mkdir, stat } from 'node:fs/promises';
import { GantryError } from '#errors/index.ts';
import type { Volumes } from '#volumes/index.ts';
import type { Container, MountRequest } from './engine.ts';

type ContainerMount = Container['mounts'][number];

/**
 * Turns what was asked for, and the image's VOLUMEs, into mounts with a source; volumes are made and marked as used.
 * Each is pushed to `mounts` as it comes to be, so that a caller can undo what a failure leaves.
 * @throws GantryError invalid, naming the bind source
 */
export async function resolveMounts(
  volumes: Volumes,
  containerId: string,
  asked: readonly MountRequest[],
  imageVolumes: readonly string[],
  mounts: ContainerMount[],
): Promise<void> {
  const mountVolume = async (name: string | undefined, target: string, readOnly: boolean) => {
    const volume =
      (name === undefined ? undefined : volumes.get(name)) ??
      (await volumes.create(name === undefined ? {} : { name }));
    volumes.use(volume.name, containerId);
    mounts.push({ type: 'volume', name: volume.name, source: volume.path, target, readOnly });
  };
  for (const mount of asked) {
    const { target } = mount;
    const readOnly = mount.readOnly ?? false;
    if (!target.startsWith('/') || target === '/')
      throw new GantryError('invalid', `invalid mount path: '${target}' mount path must be absolute, and not /`);
    if (mounts.some((m) => m.target === target))
      throw new GantryError('invalid', `Duplicate mount point: ${target}; mount one thing there`);
    switch (mount.type) {
      case 'tmpfs':
        mounts.push({ type: 'tmpfs', source: '', target, readOnly });
        break;
      case 'bind':
        mounts.push({ type: 'bind', source: await bindSource(mount), target, readOnly });
        break;
      case 'volume':
        await mountVolume(mount.source, target, readOnly);
    }
  }
  for (const target of imageVolumes)
    if (!mounts.some((m) => m.target === target)) await mountVolume(undefined, target, false);
}

async function bindSource({ source = '', createSource }: MountRequest): Promise<string> {
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
  return source;
}

/** Ends a container's hold on its volumes; with `andRemove`, those made for it alone go too. */
export async function releaseMounts(
  volumes: Volumes,
  containerId: string,
  mounts: readonly ContainerMount[],
  andRemove: boolean,
): Promise<void> {
  volumes.release(containerId);
  if (!andRemove) return;
  for (const { name } of mounts) if (name !== undefined && volumes.get(name)?.anonymous) await volumes.remove(name);
}
