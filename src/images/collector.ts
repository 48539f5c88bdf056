import type { ContentStore } from '#content/index.ts';
import { isGantryError } from '#errors/index.ts';
import type { GraphDriver } from '#snapshots/index.ts';
import type { ImageTable } from './image-table.ts';
import type { Leases } from './leases.ts';

/** Deletes blobs and unpacked layers that no image reaches and no work in progress holds. */
export function createCollector({
  content,
  driver,
  table,
  leases,
}: {
  readonly content: ContentStore;
  readonly driver: GraphDriver;
  readonly table: ImageTable;
  readonly leases: Leases;
}) {
  const pending = new Set<string>();
  /** What something held when it was to go. */
  const postponed = { blobs: new Set<string>(), layers: new Set<string>() };
  let unnamed = 0;
  let flushing: Promise<void> = Promise.resolve();

  const removeBlob = async (digest: string) => {
    const removed = await leases.deleting(digest, async () => {
      if (table.usesBlob(digest)) return false;
      table.forgetBlob(digest);
      await content.delete(digest);
      return true;
    });
    if (!removed && leases.holders(digest) > 0) postponed.blobs.add(digest);
    return removed;
  };

  const removeLayer = async (chainId: string) => {
    const removed = await leases.deleting(chainId, async () => {
      if (table.usesChain(chainId)) return false;
      try {
        if (await driver.hasLayer(chainId)) await driver.removeLayer(chainId);
      } catch (error) {
        // A container, a build or another layer stands on it; it goes with a later collection.
        if (isGantryError(error, 'conflict')) return false;
        throw error;
      }
      table.dropLayer(chainId);
      return true;
    });
    if (!removed && leases.holders(chainId) > 0) postponed.layers.add(chainId);
    return removed;
  };

  const flush = async () => {
    for (const digest of pending) {
      if (unnamed > 0) return;
      pending.delete(digest);
      await removeBlob(digest);
    }
  };
  const flushInTurn = (): Promise<void> => {
    const turn = flushing.then(flush);
    flushing = turn.catch(() => {});
    return turn;
  };

  return {
    /** Of these blobs, those that can go; later, where a blob is being taken in whose digest is not known yet. */
    async blobs(digests: Iterable<string>): Promise<void> {
      for (const digest of digests) pending.add(digest);
      await flushInTurn();
    },
    /** Keeps every blob while `work` takes in one whose digest it learns, and takes a lease on it. */
    async withUnnamedBlob<T>(work: () => Promise<T>): Promise<T> {
      unnamed++;
      try {
        await flushing;
        return await work();
      } finally {
        if (--unnamed === 0) await flushInTurn();
      }
    },
    /** Of these chains, parents first, those that can go; resolves with what went, children first. */
    async layers(chainIds: Iterable<string>): Promise<readonly string[]> {
      const gone: string[] = [];
      for (const chainId of [...new Set(chainIds)].toReversed())
        if (table.hasLayer(chainId) && (await removeLayer(chainId))) gone.push(chainId);
      return gone;
    },
    /** One unpacked layer, whether there is a row for it or not; false where an image, a hold or what stands on it keeps it. */
    layer: removeLayer,
    /** What was to go while something held it, and is not held any more. Called when a hold ends. */
    async retry(): Promise<void> {
      const due = (keys: Set<string>) => {
        const free = [...keys].filter((key) => leases.holders(key) === 0);
        for (const key of free) keys.delete(key);
        return free;
      };
      const blobs = due(postponed.blobs);
      if (blobs.length > 0) await this.blobs(blobs);
      for (let layers = due(postponed.layers); layers.length > 0; ) {
        const left: string[] = [];
        let progress = false;
        for (const chainId of layers) {
          if (!table.hasLayer(chainId) || (await removeLayer(chainId))) progress = true;
          else left.push(chainId);
        }
        layers = progress ? left : [];
      }
    },
    /** Whether a blob may be on its way in whose digest nobody knows yet. */
    takesUnnamed: (): boolean => unnamed > 0,
    /** Everything, when the store is opened: what a crash or an earlier conflict left. */
    async everything(): Promise<void> {
      for await (const { digest } of content.list()) await removeBlob(digest);
      for (let removed = true; removed; ) {
        removed = false;
        for (const chainId of table.strayLayers()) if (await removeLayer(chainId)) removed = true;
      }
    },
  };
}

export type Collector = ReturnType<typeof createCollector>;
