import type { Images } from '#images/index.ts';
import type { BuildCache } from './build-cache.ts';
import type { CacheRecord, PruneRequest } from './builder.ts';
import type { CacheMounts } from './cache-mounts.ts';
import type { KeptContexts } from './kept-contexts.ts';
import { treeBytes } from './tree-bytes.ts';
import { keptLayers, removeKeptLayer } from './trim-cache.ts';

interface Parts {
  readonly images: Pick<Images, 'otherLayers' | 'dropLayer'>;
  readonly cache: BuildCache;
  readonly cacheMounts: CacheMounts;
  readonly contexts: KeptContexts;
}

/** What the builder keeps of its own: layers that no image has, cache mounts and contexts. Longest unused first. */
export async function listCache(parts: Parts): Promise<readonly CacheRecord[]> {
  const { cacheMounts, contexts } = parts;
  const layers = (await keptLayers(parts)).map(
    ({ layer, size, used, inUse }): CacheRecord => ({ id: layer, type: 'regular', size, used, inUse }),
  );
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
async function removeRecord(parts: Parts, record: CacheRecord): Promise<boolean> {
  const { cacheMounts, contexts } = parts;
  if (record.type === 'source.local') {
    await contexts.remove(record.id);
    return true;
  }
  if (record.directory !== undefined) return cacheMounts.remove(record.directory);
  return removeKeptLayer(parts, record.id);
}
