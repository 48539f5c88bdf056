import type { Images } from '#images/index.ts';
import type { BuildCache } from './build-cache.ts';

interface Parts {
  readonly images: Pick<Images, 'otherLayers' | 'dropLayer'>;
  readonly cache: BuildCache;
}

/** A layer that no image has: of a stage that was only copied from, or of a build that failed later on. */
export interface KeptLayer {
  readonly layer: string;
  readonly size: number;
  /** The epoch for what no key leads to any more. */
  readonly used: Date;
  readonly inUse: boolean;
}

/** What steps made and no image has, longest unused first. */
export async function keptLayers({ images, cache }: Parts): Promise<readonly KeptLayer[]> {
  const uses = cache.layerUses();
  return (await images.otherLayers())
    .map(({ chainId, size, held }) => ({
      layer: chainId,
      size,
      used: uses.get(chainId) ?? new Date(0),
      inUse: held,
    }))
    .sort((a, b) => a.used.getTime() - b.used.getTime());
}

/** Removes one; false where a build relies on it or something stands on it. */
export async function removeKeptLayer({ images, cache }: Parts, layer: string): Promise<boolean> {
  if (!(await images.dropLayer(layer, cache.blobOf(layer)))) return false;
  cache.forgetLayer(layer);
  return true;
}

/** Removes layers that no image has, longest unused first, until they take at most `keepBytes`. */
export async function trimCache(parts: Parts, keepBytes: number): Promise<void> {
  let waiting = await keptLayers(parts);
  let total = waiting.reduce((sum, { size }) => sum + size, 0);
  for (let progress = true; progress && total > keepBytes; ) {
    progress = false;
    const standing: KeptLayer[] = [];
    for (const kept of waiting) {
      if (total <= keepBytes) break;
      // What something stands on has its turn when that is gone.
      if (await removeKeptLayer(parts, kept.layer)) {
        total -= kept.size;
        progress = true;
      } else standing.push(kept);
    }
    waiting = standing;
  }
}
