import { closeFd, mountDetached } from '#linux/index.ts';
import { chainIdOf } from '#oci/index.ts';
import { extractTar, type GraphDriver } from '#snapshots/index.ts';
import { cacheKey } from './build-cache.ts';
import type { BuildHolds } from './build-holds.ts';
import type { StageState } from './stage-state.ts';
import type { StepLayers } from './step-layers.ts';

/** `--squash`: all layers that the build added as one, on the base image's. The history stays, and says so. */
export async function squash(
  { driver, layers }: { readonly driver: GraphDriver; readonly layers: StepLayers },
  state: StageState,
  {
    signal,
    holds,
    epoch,
  }: { readonly signal: AbortSignal; readonly holds: BuildHolds; readonly epoch: number | undefined },
): Promise<StageState> {
  const exported = state.tree.exported ?? [];
  const own = exported.slice(state.baseLayers);
  if (own.length < 2) return state;
  const base = exported.slice(0, state.baseLayers);
  const layer = chainIdOf(base.map(({ diffId }) => diffId));
  const parent = { identity: layer ?? 'scratch', layer, exported: base };
  const key = cacheKey('squash', [parent.identity, own.map(({ diffId }) => diffId), epoch]);
  const made =
    (await layers.reuse(key, parent, { signal, holds })) ??
    (await layers.make(
      key,
      parent,
      async (diffId) => {
        const root = mountDetached(await driver.mounts(diffId));
        try {
          for (let count = state.baseLayers + 1; count <= exported.length; count++) {
            const chain = chainIdOf(exported.slice(0, count).map((one) => one.diffId));
            if (chain !== undefined)
              await extractTar(await driver.layerDiff(chain), root, { whiteouts: 'apply', signal });
          }
        } finally {
          closeFd(root);
        }
      },
      { signal, holds, ...(epoch === undefined ? {} : { epoch }) },
    ));
  return {
    ...state,
    tree: made.tree,
    history: [
      ...state.history.map((entry, index) => (index < state.baseHistory ? entry : { ...entry, empty_layer: true })),
      { created: made.created, created_by: '', comment: `merge of ${own.length} layers` },
    ],
  };
}
