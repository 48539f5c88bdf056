import { GantryError } from '#errors/index.ts';
import { allocatedBytes, closeFd, type FileStatus, openDirectory, statusOf } from '#linux/index.ts';
import type { Mount } from '#oci/index.ts';
import type { GraphDriver } from './graph-driver.ts';
import { type PackPolicy, packTreeWith } from './pack-tree.ts';
import type { DiffRecord, SnapshotStore } from './snapshot-store.ts';
import type { StagedLayer } from './staged-layer.ts';
import type { Change } from './tree-changes.ts';

/**
 * What one way of layering adds to the store that all share. A *tree* is the `diff/` directory of a diff, and what stands
 * for it in a layer.
 */
export interface Layering {
  readonly name: string;
  readonly independentLayers: boolean;
  /** Begins a layer in a new directory. */
  beginLayer(directory: string, parent: string | undefined): Promise<StagedLayer>;
  /** Makes the tree, and what else a diff needs, in a new directory. */
  beginDiff(directory: string, parent: string | undefined): Promise<void>;
  /** Opens the tree of a layer; the caller closes it. */
  openTree(chainId: string): number;
  mounts(directory: string, record: DiffRecord): Promise<readonly Mount[]>;
  view(chain: readonly string[]): readonly Mount[];
  changes(treeFd: number, parent: string | undefined): Generator<Change, void>;
  /** Bytes of the files that a tree has of its own. */
  size(treeFd: number, parent: string | undefined): number;
  /** How a tree is packed as a layer tar. */
  packing(treeFd: number, parent: string | undefined): PackPolicy;
  /** Lets go of a layer that is about to change or go. */
  forget(chainId: string): void;
  /** Lets go of all. */
  close(): void;
}

type Access = Pick<FileStatus, 'mode' | 'uid' | 'gid'>;
const sameAccess = (a: Access, b: Access): boolean => a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;

/** A graph driver on a store. A layer tar has an entry for the root directory only where its mode or owner changed. */
export function createStoreDriver(store: SnapshotStore, layering: Layering): GraphDriver {
  const preparing = new Set<string>();
  /** Bytes on disk of layers, which never change. */
  const allocated = new Map<string, number>();

  async function withTree<T>(fd: number, use: (treeFd: number) => Promise<T> | T): Promise<T> {
    try {
      return await use(fd);
    } finally {
      closeFd(fd);
    }
  }

  const openDiff = (id: string): number => openDirectory(`${store.diffPath(id)}/diff`);

  const sizeOf = async (id: string): Promise<number> => {
    const { parent } = store.diff(id);
    return withTree(openDiff(id), (treeFd) => layering.size(treeFd, parent));
  };

  /** Who may do what in the root directory of a chain; one that no layer describes is made so. */
  const rootOf = async (chainId: string | undefined): Promise<Access> =>
    chainId === undefined ? { mode: 0o755, uid: 0, gid: 0 } : withTree(layering.openTree(chainId), statusOf);

  async function pack(fd: number, parent: string | undefined) {
    try {
      const root = !sameAccess(statusOf(fd), await rootOf(parent));
      return packTreeWith(fd, layering.packing(fd, parent), { root }, () => closeFd(fd));
    } catch (error) {
      closeFd(fd);
      throw error;
    }
  }

  return {
    name: layering.name,
    independentLayers: layering.independentLayers,
    hasLayer: async (chainId) => store.layers.has(chainId),

    async prepareLayer(chainId, parent) {
      if (store.layers.has(chainId) || preparing.has(chainId))
        throw new GantryError('conflict', `layer ${chainId} is already unpacked or being unpacked`, {
          code: 'layer-exists',
        });
      if (parent !== undefined && !layering.independentLayers) store.layer(parent);
      preparing.add(chainId);
      const directory = await store.stage();
      let staged: StagedLayer | undefined;
      const end = async (): Promise<void> => {
        preparing.delete(chainId);
        try {
          await staged?.abort();
        } finally {
          await store.discard(directory);
        }
      };
      try {
        staged = await layering.beginLayer(directory, parent);
      } catch (error) {
        await end();
        throw error;
      }
      const layer = staged;
      return {
        unpack: (tar, options = {}) => layer.unpack(tar, options),
        async commit() {
          if (parent !== undefined) store.layer(parent);
          await store.publishLayer(directory, chainId, { parent, ...(await layer.complete()) });
          preparing.delete(chainId);
        },
        abort: end,
      };
    },
    removeLayer: async (chainId) => {
      await store.removeLayer(chainId);
      layering.forget(chainId);
    },
    async *layers() {
      for (const [chainId, record] of store.layers) yield { chainId, parent: record.parent, size: record.size };
    },

    replaceLayer: async (from, chainId) => {
      allocated.delete(chainId);
      layering.forget(from);
      layering.forget(chainId);
      await store.replaceLayer(from, chainId);
    },
    async *usage() {
      for (const chainId of store.layers.keys()) {
        const known = allocated.get(chainId) ?? (await allocatedBytes(store.layerPath(chainId)));
        if (known === undefined) continue; // removed meanwhile
        allocated.set(chainId, known);
        yield { kind: 'layer', id: chainId, bytes: known };
      }
      for (const chainId of allocated.keys()) if (!store.layers.has(chainId)) allocated.delete(chainId);
      for (const id of store.diffs.keys()) {
        const bytes = await allocatedBytes(store.diffPath(id));
        if (bytes !== undefined) yield { kind: 'diff', id, bytes };
      }
    },

    async createDiff(id, parent, { volatile = false } = {}) {
      if (parent !== undefined) store.layer(parent);
      const staged = await store.stage();
      try {
        await layering.beginDiff(staged, parent);
        await store.publishDiff(staged, id, { parent, volatile });
      } catch (error) {
        await store.discard(staged);
        throw error;
      }
    },
    hasDiff: async (id) => store.diffs.has(id),
    diffParent: async (id) => store.diff(id).parent,
    mounts: async (id) => layering.mounts(store.diffPath(id), store.diff(id)),
    view: async (chainId) => layering.view(store.chain(chainId)),
    diff: async (id) => {
      const { parent } = store.diff(id);
      return pack(openDiff(id), parent);
    },
    layerDiff: async (chainId) => {
      const { parent } = store.layer(chainId);
      return pack(layering.openTree(chainId), parent);
    },
    async *changes(id) {
      const { parent } = store.diff(id);
      const fd = openDiff(id);
      try {
        for (const { path, kind } of layering.changes(fd, parent)) yield { path: `/${path}`, kind };
      } finally {
        closeFd(fd);
      }
    },
    async commitDiff(id, chainId) {
      store.diff(id);
      if (store.layers.has(chainId)) await store.removeDiff(id);
      else await store.promoteDiff(id, chainId, await sizeOf(id));
    },
    diffSize: sizeOf,
    removeDiff: (id) => store.removeDiff(id),
    hideDiff: (id) => store.hideDiff(id),
    async *diffs() {
      yield* store.diffs.keys();
    },
    async [Symbol.asyncDispose]() {
      layering.close();
    },
  };
}
