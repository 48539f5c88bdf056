import { mountErofs, openDirectory } from '#linux/index.ts';
import type { GraphDriver } from './graph-driver.ts';
import { createImageMounts } from './image-mounts.ts';
import { createOverlayLayering, openOverlayStore } from './overlay-layering.ts';
import { IMAGE_NAME } from './snapshot-store.ts';
import { createStagedImage } from './staged-image.ts';
import { createStoreDriver } from './store-driver.ts';

/**
 * Layers as EROFS images, one file each, which the kernel mounts read-only from the file (kernel: erofs.rst), and on them
 * the same diffs as overlay2 has. A layer that was a diff stays the directory it is: nothing is copied. The kernel's
 * overlay stacks both.
 * @throws GantryError unsupported (a root that overlay options cannot name), corrupt, exhausted
 */
export async function createErofsDriver({ root }: { readonly root: string }): Promise<GraphDriver> {
  const store = await openOverlayStore(root);
  const mounts = createImageMounts();
  const imageOf = (chainId: string): string | undefined =>
    store.layer(chainId).image === true ? `${store.layerPath(chainId)}/${IMAGE_NAME}` : undefined;
  const treeOf = (chainId: string): string => {
    const image = imageOf(chainId);
    return image === undefined ? `${store.layerPath(chainId)}/diff` : mounts.treeOf(image);
  };
  return createStoreDriver(store, {
    ...createOverlayLayering(store, treeOf),
    name: 'erofs',
    independentLayers: true,
    beginLayer: async (directory, parent) => createStagedImage(directory, () => store.chain(parent).map(treeOf)),
    /** By a mount of its own, which has nothing cached: what is read is what is on the disk. */
    openTree(chainId) {
      const image = imageOf(chainId);
      return image === undefined ? openDirectory(treeOf(chainId)) : mountErofs(image);
    },
    forget: (chainId) => mounts.forget(`${store.layerPath(chainId)}/${IMAGE_NAME}`),
    close: mounts.close,
  });
}
