import { isGantryError } from '#errors/index.ts';
import type { GraphDriver } from '#snapshots/index.ts';
import type { BuildCache } from './build-cache.ts';

/**
 * Removes the layers of stages that no image is made of, longest unused first, until they take at most `keepBytes`.
 * Layers of images are the image service's. Only while no build runs.
 */
export async function trimCache(
  { driver, cache }: { readonly driver: Pick<GraphDriver, 'layers' | 'removeLayer'>; readonly cache: BuildCache },
  keepBytes: number,
): Promise<void> {
  const sizes = new Map<string, number>();
  for await (const { chainId, size } of driver.layers()) sizes.set(chainId, size);
  let waiting = cache.privateLayers().filter(({ layer }) => sizes.has(layer));
  let total = waiting.reduce((sum, { layer }) => sum + (sizes.get(layer) ?? 0), 0);
  for (let progress = true; progress && total > keepBytes; ) {
    progress = false;
    const standing: typeof waiting = [];
    for (const entry of waiting) {
      if (total <= keepBytes) break;
      try {
        await driver.removeLayer(entry.layer);
      } catch (error) {
        if (!isGantryError(error, 'conflict')) throw error;
        // Something stands on it; its turn comes when that is gone.
        standing.push(entry);
        continue;
      }
      cache.forgetPrivate(entry.key);
      total -= sizes.get(entry.layer) ?? 0;
      progress = true;
    }
    waiting = standing;
  }
}
