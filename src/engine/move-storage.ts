import type { DatabaseSync } from 'node:sqlite';
import { GantryError } from '#errors/index.ts';
import { closeFd, mountDetached } from '#linux/index.ts';
import type { ContainerRuntime } from '#runtime/index.ts';
import { extractTar, type GraphDriver } from '#snapshots/index.ts';
import { createContainerStore } from './container-store.ts';

/**
 * Copies every layer and writable layer of one graph driver to another, each by way of its tar, while no container runs.
 * What the other has already is left as it is, so that one that was interrupted goes on where it was.
 * @throws GantryError conflict, naming a container that runs
 */
export async function moveStorage(
  from: GraphDriver,
  to: GraphDriver,
  deps: { readonly db: DatabaseSync; readonly runtimes: ReadonlyMap<string, ContainerRuntime> },
  options: { readonly execRoot: string; readonly defaultRuntime: string; readonly onLayer: (chainId: string) => void },
): Promise<void> {
  await refuseWhileRunning(deps, options);
  const parents = new Map<string, string | undefined>();
  for await (const { chainId, parent } of from.layers()) parents.set(chainId, parent);
  const there = new Set((await Array.fromAsync(to.layers())).map(({ chainId }) => chainId));
  for (const chainId of parents.keys())
    for (const next of missingBelow(chainId, parents, there)) {
      options.onLayer(next);
      await copyLayer(from, to, next, parents.get(next));
      there.add(next);
    }
  for await (const id of from.diffs()) await copyDiff(from, to, id);
}

/** What of a chain is not there yet, parents first. */
function missingBelow(
  top: string,
  parents: ReadonlyMap<string, string | undefined>,
  there: ReadonlySet<string>,
): readonly string[] {
  const missing: string[] = [];
  for (let next: string | undefined = top; next !== undefined && !there.has(next); next = parents.get(next))
    missing.push(next);
  return missing.reverse();
}

async function copyLayer(from: GraphDriver, to: GraphDriver, chainId: string, parent: string | undefined) {
  const writer = await to.prepareLayer(chainId, parent);
  try {
    await writer.unpack(await from.layerDiff(chainId));
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** Written through its mount, as a container would: every driver keeps it in its own form. */
async function copyDiff(from: GraphDriver, to: GraphDriver, id: string): Promise<void> {
  await to.removeDiff(id); // half of it, where an earlier move was interrupted
  await to.createDiff(id, await from.diffParent(id));
  const root = mountDetached(await to.mounts(id));
  try {
    await extractTar(await from.diff(id), root, { whiteouts: 'apply' });
  } finally {
    closeFd(root);
  }
}

async function refuseWhileRunning(
  { db, runtimes }: { readonly db: DatabaseSync; readonly runtimes: ReadonlyMap<string, ContainerRuntime> },
  { execRoot, defaultRuntime }: { readonly execRoot: string; readonly defaultRuntime: string },
): Promise<void> {
  for (const { id, name, options, state } of createContainerStore(db, {
    onError: (error) => {
      throw error;
    },
  }).all()) {
    if (state.status !== 'running' && state.status !== 'paused') continue;
    const task = await runtimes.get(options.runtime ?? defaultRuntime)?.load(id, `${execRoot}/tasks/${id}`);
    if (task !== undefined)
      throw new GantryError(
        'conflict',
        `the container ${name} is running on the storage that is to be moved; start the engine without --migrate-storage and stop it first`,
      );
  }
}
