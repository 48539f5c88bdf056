import { chmodSync, mkdirSync } from 'node:fs';
import { completeTree } from './complete-tree.ts';
import type { GraphDriver } from './graph-driver.ts';
import { openLowerView } from './lower-view.ts';
import { createOverlayLayering, openOverlayStore } from './overlay-layering.ts';
import { createStagedTree } from './staged-layer.ts';
import { createStoreDriver } from './store-driver.ts';

/**
 * Layers and diffs as directories that the kernel's overlay stacks.
 * @throws GantryError unsupported (a root that overlay options cannot name), corrupt, exhausted
 */
export async function createOverlay2Driver({ root }: { readonly root: string }): Promise<GraphDriver> {
  const store = await openOverlayStore(root);
  const treeOf = (chainId: string): string => `${store.layerPath(chainId)}/diff`;
  return createStoreDriver(store, {
    ...createOverlayLayering(store, treeOf),
    name: 'overlay2',
    independentLayers: true,
    async beginLayer(directory, parent) {
      mkdirSync(`${directory}/diff`);
      chmodSync(`${directory}/diff`, 0o755);
      return createStagedTree(directory, 'overlay', (treeFd, unpacked) => {
        using lower = openLowerView(store.chain(parent).map(treeOf));
        completeTree(treeFd, unpacked, lower);
      });
    },
  });
}
