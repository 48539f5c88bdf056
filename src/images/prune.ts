import { isGantryError } from '#errors/index.ts';
import type { Deps } from './deps.ts';
import type { PruneImages, RemovedName } from './images.ts';
import type { Lookup } from './lookup.ts';
import { sweepPartials } from './partial-download.ts';
import { remove } from './remove.ts';

/** `docker image prune`: images without a tag, or all, that no container uses. */
export async function prune(
  deps: Deps,
  lookup: Lookup,
  { all = false, fits = () => true, inUseBy }: PruneImages,
): Promise<{ readonly removed: readonly RemovedName[]; readonly reclaimed: number }> {
  const bytesNow = async () => {
    let bytes = 0;
    for await (const layer of deps.driver.usage()) if (layer.kind === 'layer') bytes += layer.bytes;
    for await (const { size } of deps.content.list()) bytes += size;
    return bytes;
  };
  const before = await bytesNow();
  const removed: RemovedName[] = [];
  for (const image of lookup.list()) {
    if ((!all && image.tags.length > 0) || !fits(image) || inUseBy?.(image.id) !== undefined) continue;
    try {
      removed.push(
        ...(await remove(deps, lookup, image.id, { force: true, ...(inUseBy === undefined ? {} : { inUseBy }) })),
      );
    } catch (error) {
      // Somebody else removed it meanwhile, or began to use it.
      if (!isGantryError(error, 'not-found') && !isGantryError(error, 'conflict')) throw error;
    }
  }
  // Also what was begun to be downloaded, and nobody goes on with.
  await sweepPartials(deps.content.staging, (digest) => deps.leases.holders(digest) > 0);
  return { removed, reclaimed: removed.length === 0 ? 0 : Math.max(0, before - (await bytesNow())) };
}
