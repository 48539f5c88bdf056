import { lstat, readdir } from 'node:fs/promises';
import { isGantryError } from '#errors/index.ts';
import type { Image } from '#images/index.ts';
import { allocatedBytes } from '#linux/index.ts';
import type { Volume } from '#volumes/index.ts';
import type { Container } from './engine.ts';
import type { StorageDeps } from './storage.ts';

/** Bytes on the disk, as du(1) counts; all totals together are the data root. */
export interface DiskUsage {
  readonly images: {
    readonly total: number;
    readonly each: readonly { readonly image: Image; readonly size: number; readonly shared: number }[];
  };
  /** `writable`: what a container changed; `own`: its log and files in /etc. */
  readonly containers: readonly {
    readonly container: Container;
    readonly writable: number;
    readonly own: number;
    /** Of the layers below, as `images` counts. */
    readonly image: number;
  }[];
  readonly volumes: readonly { readonly volume: Volume; readonly size: number; readonly users: number }[];
  readonly buildCache: readonly { readonly id: string; readonly size: number }[];
  /** The database and directories. */
  readonly engine: number;
}

/** Measures all that a data root holds, and to whom it belongs. */
export async function measureStorage(
  { images, containers, driver, volumes, buildCache }: StorageDeps,
  dataRoot: string,
): Promise<DiskUsage> {
  const layers = new Map<string, number>();
  const diffs = new Map<string, number>();
  for await (const { kind, id, bytes } of driver.usage()) (kind === 'layer' ? layers : diffs).set(id, bytes);
  const used = await images.usage(layers);
  const sizeOf = new Map(used.images.map(({ image, size }) => [image.id, size]));

  const each = await Promise.all(
    containers.list().map(async (container) => ({
      container,
      writable: diffs.get(container.id) ?? 0,
      own: (await allocatedBytes(`${dataRoot}/containers/${container.id}`)) ?? 0,
      image: sizeOf.get(container.imageId) ?? 0,
    })),
  );
  const usersOf = (name: string) =>
    containers.list().filter(({ mounts }) => mounts.some((mount) => mount.type === 'volume' && mount.name === name));
  const volumeSizes = await Promise.all(
    volumes.list().map(async (volume) => ({
      volume,
      size: (await allocatedBytes(`${dataRoot}/volumes/${volume.name}`)) ?? 0,
      users: usersOf(volume.name).length,
    })),
  );
  const cache = (await buildCache()).map(({ id, size }) => ({ id, size: layers.get(id) ?? size }));
  const cached = new Set(cache.map(({ id }) => id));
  const strays = used.other.layers.filter((id) => !cached.has(id)).map((id) => ({ id, size: layers.get(id) ?? 0 }));
  const blobs = used.other.blobs === 0 ? [] : [{ id: 'blobs', size: used.other.blobs }];
  const parts = { containers: each, volumes: volumeSizes, buildCache: [...cache, ...strays, ...blobs] };
  const images_ = { total: used.total, each: used.images };
  return {
    images: images_,
    ...parts,
    engine: await restOf(dataRoot, driver.name, used.blobs, cacheOnDisk(cache, layers)),
  };
}

/** Of the build cache what lies in the builder's own directory. */
const cacheOnDisk = (cache: readonly { id: string; size: number }[], layers: ReadonlyMap<string, number>): number =>
  cache.reduce((sum, { id, size }) => sum + (layers.has(id) ? 0 : size), 0);

/** What is nobody's: files of the data root itself, of the content store besides blobs, of the builder besides caches. */
async function restOf(dataRoot: string, driver: string, blobs: number, caches: number): Promise<number> {
  let bytes = 0;
  for (const { name } of await readdir(dataRoot, { withFileTypes: true })) {
    if (name === driver || name === 'containers' || name === 'volumes') continue;
    const whole =
      (await allocatedBytes(`${dataRoot}/${name}`).catch(() => undefined)) ?? (await fileBytes(`${dataRoot}/${name}`));
    bytes += whole - (name === 'content' ? blobs : name === 'builder' ? caches : 0);
  }
  return Math.max(0, bytes);
}

const fileBytes = async (path: string): Promise<number> => (await lstat(path)).blocks * 512;

export interface ContainerSize {
  readonly writable: number;
  readonly whole: number;
}

/** Sizes of files, not of blocks, as `docker ps --size` has them. */
export async function containerSizes(
  { containers, driver, images }: Pick<StorageDeps, 'containers' | 'driver' | 'images'>,
  ids: readonly string[],
): Promise<ReadonlyMap<string, ContainerSize>> {
  const sizes = new Map<string, ContainerSize>();
  for (const id of ids)
    try {
      const { imageId } = containers.get(id);
      const writable = await driver.diffSize(id);
      // An image may be gone while its container is there.
      const image = await images.get(imageId).catch(() => undefined);
      sizes.set(id, { writable, whole: writable + (image?.size ?? 0) });
    } catch (error) {
      if (!isGantryError(error, 'not-found')) throw error; // removed meanwhile
    }
  return sizes;
}
