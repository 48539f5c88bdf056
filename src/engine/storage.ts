import type { DatabaseSync } from 'node:sqlite';
import type { CheckOptions, Image, Images, StoreReport } from '#images/index.ts';
import type { GraphDriver } from '#snapshots/index.ts';
import type { Volumes } from '#volumes/index.ts';
import { checkStorage } from './check-storage.ts';
import { type CommitRequest, commitContainer } from './commit-container.ts';
import { type ContainerSize, containerSizes, type DiskUsage, measureStorage } from './disk-usage.ts';
import type { Containers } from './engine.ts';

/** What the engine keeps on the disk as a whole: measured, verified, and made into images. */
export interface Storage {
  usage(): Promise<DiskUsage>;
  /** Of these containers the bytes that each changed, and those with its image's. One that is gone is left out. */
  containerSizes(ids: readonly string[]): Promise<ReadonlyMap<string, ContainerSize>>;
  /** Images and containers with all they stand on. See images/check.ts and check-storage.ts. */
  check(options: Pick<CheckOptions, 'repair' | 'quick' | 'signal'>): Promise<StoreReport>;
  /** Makes an image of a container's changes. @throws GantryError not-found, invalid */
  commit(nameOrId: string, request: CommitRequest): Promise<Image>;
}

export interface StorageDeps {
  readonly db: DatabaseSync;
  readonly images: Images;
  readonly containers: Containers;
  readonly driver: GraphDriver;
  readonly volumes: Volumes;
  /** What is kept between builds: id, bytes, and the directory where it is none of the driver's. */
  readonly buildCache: () => Promise<
    readonly { readonly id: string; readonly size: number; readonly directory?: string }[]
  >;
}

export function createStorage(deps: StorageDeps, { dataRoot }: { readonly dataRoot: string }): Storage {
  return {
    usage: () => measureStorage(deps, dataRoot),
    containerSizes: (ids) => containerSizes(deps, ids),
    check: (options) => checkStorage(deps, dataRoot, options),
    commit: (nameOrId, request) => commitContainer(deps, nameOrId, request),
  };
}
