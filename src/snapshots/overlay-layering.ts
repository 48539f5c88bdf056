import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { GantryError } from '#errors/index.ts';
import { closeFd, openDirectory, removeTree } from '#linux/index.ts';
import type { Mount } from '#oci/index.ts';
import { copyMetadata } from './copy-metadata.ts';
import { baseOf, directoryOf, joinPath } from './entry-path.ts';
import { openLowerView } from './lower-view.ts';
import { openSnapshotStore, type SnapshotStore } from './snapshot-store.ts';
import type { Layering } from './store-driver.ts';
import { treeChanges } from './tree-changes.ts';
import { treeSize } from './tree-size.ts';
import { isOpaqueAt, isWhiteout, OPAQUE_NAME, WHITEOUT_PREFIX } from './whiteouts.ts';

/** Features of an overlay that would leave in an upper directory what only the kernel can read. */
const PLAIN = ['index', 'redirect_dir', 'metacopy'];

/**
 * The store of a driver whose mounts are overlays. A `volatile` diff of an earlier boot is discarded here: its files were
 * never synced, and nothing tells which of them are whole.
 * @throws GantryError unsupported (a root that overlay options cannot name), corrupt, exhausted
 */
export async function openOverlayStore(root: string): Promise<SnapshotStore> {
  if (/[:,\\]/.test(root))
    throw new GantryError('unsupported', `an overlay cannot be in "${root}": its name has one of : , \\`);
  const store = await openSnapshotStore(root);
  for (const [id, { volatileBoot }] of store.diffs)
    if (volatileBoot !== undefined && volatileBoot !== store.bootId) await store.removeDiff(id);
  // An overlay needs a lower directory, also where an image has no layers, and two where nothing is above.
  await mkdir(emptyIn(root), { recursive: true, mode: 0o755 });
  return store;
}

const emptyIn = (root: string): string => `${root}/empty`;

/**
 * Diffs as directories on layers that the kernel's overlay stacks (kernel: overlayfs.rst), whatever those are: whiteouts
 * are character devices 0:0, opaque directories have `trusted.overlay.opaque`. `treeOf` is where a layer's tree is found.
 */
export function createOverlayLayering(
  store: SnapshotStore,
  treeOf: (chainId: string) => string,
): Omit<Layering, 'name' | 'independentLayers' | 'beginLayer'> {
  const empty = emptyIn(store.root);
  const plain = PLAIN.filter((name) => existsSync(`/sys/module/overlay/parameters/${name}`)).map((n) => `${n}=off`);
  const trees = (chain: readonly string[]): readonly string[] => chain.map(treeOf);

  return {
    openTree: (chainId) => openDirectory(treeOf(chainId)),
    async beginDiff(directory, parent) {
      const tree = `${directory}/diff`;
      mkdirSync(tree);
      chmodSync(tree, 0o755);
      mkdirSync(`${directory}/work`);
      // The upper directory's own metadata is that of the container's root directory.
      if (parent !== undefined) inheritMetadata(tree, treeOf(parent));
    },
    async mounts(directory, { parent, volatileBoot }) {
      const lower = parent === undefined ? [empty] : trees(store.chain(parent));
      const volatile = volatileBoot !== undefined;
      if (volatile) await forgetVolatileMount(directory);
      return overlayMount([
        `lowerdir=${lower.join(':')}`,
        `upperdir=${directory}/diff`,
        `workdir=${directory}/work`,
        ...plain,
        ...(volatile ? ['volatile'] : []),
      ]);
    },
    view: (chain) => overlayMount([`lowerdir=${[...trees(chain), empty].join(':')}`, ...plain, 'ro']),
    *changes(treeFd, parent) {
      using lower = openLowerView(trees(store.chain(parent)));
      yield* treeChanges(treeFd, lower, 'upper');
    },
    size: treeSize,
    packing: () => ({
      decide: (path, status) =>
        isWhiteout(status) ? { whiteout: joinPath(directoryOf(path), WHITEOUT_PREFIX + baseOf(path)) } : 'keep',
      whiteoutsIn: (_path, directoryFd, name) => (isOpaqueAt(directoryFd, name) ? [OPAQUE_NAME] : []),
    }),
    forget: () => undefined,
    close: () => undefined,
  };
}

const overlayMount = (options: readonly string[]): readonly Mount[] => [
  { destination: '/', type: 'overlay', source: 'overlay', options },
];

/**
 * A volatile mount leaves a mark, and the kernel refuses to mount the diff again, since after a crash its files may be
 * torn (overlayfs.rst#volatile-mount). Diffs of an earlier boot are gone by now; in this one the page cache has all that
 * was written, synced or not, so the mark may be taken away.
 */
async function forgetVolatileMount(directory: string): Promise<void> {
  const kernelsOwn = join(directory, 'work', 'work');
  if (!existsSync(`${kernelsOwn}/incompat`)) return;
  const fd = openDirectory(kernelsOwn);
  try {
    await removeTree(fd, 'incompat');
  } finally {
    closeFd(fd);
  }
}

function inheritMetadata(tree: string, from: string): void {
  const [toFd, fromFd] = [openDirectory(tree), openDirectory(from)];
  try {
    copyMetadata(fromFd, '.', toFd);
  } finally {
    closeFd(toFd);
    closeFd(fromFd);
  }
}
