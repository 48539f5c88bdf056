import { isGantryError } from '#errors/index.ts';
import type { GraphDriver } from '#snapshots/index.ts';
import type { BuildCache } from './build-cache.ts';
import type { CacheRecord, PruneRequest } from './builder.ts';
import type { CacheMounts } from './cache-mounts.ts';
import type { KeptContexts } from './kept-contexts.ts';
import { treeBytes } from './tree-bytes.ts';

interface Parts {
  readonly driver: Pick<GraphDriver, 'layers' | 'removeLayer'>;
  readonly cache: BuildCache;
  readonly cacheMounts: CacheMounts;
  readonly contexts: KeptContexts;
}

/** What the builder keeps of its own: layers of stages that no image is made of, cache mounts and contexts. Longest unused first. */
export async function listCache({ driver, cache, cacheMounts, contexts }: Parts): Promise<readonly CacheRecord[]> {
  const sizes = new Map<string, number>();
  for await (const { chainId, size } of driver.layers()) sizes.set(chainId, size);
  const layers = cache.privateLayers().flatMap(({ key, layer, used }): CacheRecord[] => {
    const size = sizes.get(layer);
    return size === undefined ? [] : [{ id: layer, type: 'regular', size, used, inUse: false, key }];
  });
  const mounts = (await cacheMounts.list()).map(
    ({ directory, used, inUse }): CacheRecord => ({
      id: directory.slice(directory.lastIndexOf('/') + 1),
      type: 'exec.cachemount',
      size: treeBytes(directory),
      used,
      inUse,
      directory,
    }),
  );
  const kept = contexts
    .list()
    .map(({ id, size, used }): CacheRecord => ({ id, type: 'source.local', size, used, inUse: false }));
  return [...layers, ...mounts, ...kept].sort((a, b) => a.used.getTime() - b.used.getTime());
}

/**
 * Removes what the filters leave, longest unused first, until the rest takes at most `keepBytes`. What a running build
 * uses or another layer stands on is left.
 */
export async function pruneCache(
  parts: Parts,
  { unusedSince, types, ids, keepBytes = 0 }: PruneRequest,
): Promise<readonly CacheRecord[]> {
  const all = await listCache(parts);
  let total = all.reduce((sum, { size }) => sum + size, 0);
  const removed: CacheRecord[] = [];
  let waiting = all.filter(
    ({ id, type, used }) =>
      (unusedSince === undefined || used < unusedSince) &&
      (types === undefined || types.includes(type)) &&
      (ids === undefined || ids.some((one) => id.replace('sha256:', '').startsWith(one.replace('sha256:', '')))),
  );
  for (let progress = true; progress && total > keepBytes; ) {
    progress = false;
    const standing: CacheRecord[] = [];
    for (const record of waiting) {
      if (total <= keepBytes) break;
      if (!(await removeRecord(parts, record))) {
        standing.push(record);
        continue;
      }
      removed.push(record);
      total -= record.size;
      progress = true;
    }
    waiting = standing;
  }
  return removed;
}

/** Whether it could be removed. */
async function removeRecord({ driver, cache, cacheMounts, contexts }: Parts, record: CacheRecord): Promise<boolean> {
  if (record.type === 'source.local') {
    await contexts.remove(record.id);
    return true;
  }
  if (record.directory !== undefined) return cacheMounts.remove(record.directory);
  try {
    await driver.removeLayer(record.id);
  } catch (error) {
    if (isGantryError(error, 'conflict')) return false; // something stands on it
    throw error;
  }
  if (record.key !== undefined) cache.forgetPrivate(record.key);
  return true;
}
