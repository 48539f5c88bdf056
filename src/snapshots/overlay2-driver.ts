import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { GantryError } from '#errors/index.ts';
import {
  closeFd,
  findStatusAt,
  makeNodeAt,
  openDirectory,
  removeTree,
  setTimesFd,
  statusOf,
  tryOpenBeneath,
  unlinkAt,
} from '#linux/index.ts';
import type { Mount } from '#oci/index.ts';
import { copyMetadata } from './copy-metadata.ts';
import { baseOf, directoryOf, joinPath } from './entry-path.ts';
import { toFileName } from './file-name.ts';
import type { GraphDriver } from './graph-driver.ts';
import { type LowerView, openLowerView } from './lower-view.ts';
import { OPEN_DIRECTORY, withDirectory } from './make-entry.ts';
import { openSnapshotStore } from './snapshot-store.ts';
import { createStoreDriver } from './store-driver.ts';
import { treeChanges } from './tree-changes.ts';
import { treeSize } from './tree-size.ts';
import { isOpaqueAt, isWhiteout, makeOpaque, OPAQUE_NAME, WHITEOUT_PREFIX } from './whiteouts.ts';

/** Features of an overlay that would leave in an upper directory what only the kernel can read. */
const PLAIN = ['index', 'redirect_dir', 'metacopy'];

/**
 * Layers and diffs as directories that the kernel's overlay stacks (kernel: overlayfs.rst). Layers hold whiteouts as
 * character devices 0:0 and opaque directories as `trusted.overlay.opaque`. A `volatile` diff of an earlier boot is
 * discarded here: its files were never synced, and nothing tells which of them are whole.
 * @throws GantryError unsupported (a root that overlay options cannot name), corrupt, exhausted
 */
export async function createOverlay2Driver({ root }: { readonly root: string }): Promise<GraphDriver> {
  if (/[:,\\]/.test(root))
    throw new GantryError('unsupported', `overlay2 cannot work in "${root}": its name has one of : , \\`);
  const store = await openSnapshotStore(root);
  for (const [id, { volatileBoot }] of store.diffs)
    if (volatileBoot !== undefined && volatileBoot !== store.bootId) await store.removeDiff(id);
  // An overlay needs a lower directory, also where an image has no layers, and two where nothing is above.
  const empty = `${root}/empty`;
  await mkdir(empty, { recursive: true, mode: 0o755 });
  const plain = PLAIN.filter((name) => existsSync(`/sys/module/overlay/parameters/${name}`)).map((n) => `${n}=off`);

  const trees = (chain: readonly string[]): readonly string[] => chain.map((id) => `${store.layerPath(id)}/diff`);
  const lowerView = (parent: string | undefined): LowerView => openLowerView(trees(store.chain(parent)));

  return createStoreDriver(store, {
    name: 'overlay2',
    independentLayers: true,
    whiteouts: 'overlay',
    async begin(directory, parent, as) {
      const tree = `${directory}/diff`;
      mkdirSync(tree);
      chmodSync(tree, 0o755);
      if (as === 'layer') return;
      mkdirSync(`${directory}/work`);
      // The upper directory's own metadata is that of the container's root directory.
      if (parent !== undefined) inheritMetadata(tree, `${store.layerPath(parent)}/diff`);
    },
    complete(treeFd, parent, { implied, whiteouts }) {
      using lower = lowerView(parent);
      if (isOpaqueAt(treeFd, '.')) hideRoot(treeFd, lower);
      for (const path of whiteouts) dropIfIdle(treeFd, path, lower);
      for (const path of implied) inheritFromLower(treeFd, path, lower);
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
      using lower = lowerView(parent);
      yield* treeChanges(treeFd, lower, 'upper');
    },
    size: treeSize,
    packing: () => ({
      decide: (path, status) =>
        isWhiteout(status) ? { whiteout: joinPath(directoryOf(path), WHITEOUT_PREFIX + baseOf(path)) } : 'keep',
      whiteoutsIn: (_path, directoryFd, name) => (isOpaqueAt(directoryFd, name) ? [OPAQUE_NAME] : []),
    }),
  });
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
  if (!existsSync(`${directory}/work/work/incompat`)) return;
  const fd = openDirectory(`${directory}/work/work`);
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

/**
 * An upper directory's metadata hides the lower one's. One that no entry describes takes what shows below it; where
 * nothing does, its time is the epoch, so that equal archives make equal trees.
 */
function inheritFromLower(treeFd: number, path: string, lower: LowerView): void {
  const name = path === '' ? '.' : toFileName(path);
  const fd = tryOpenBeneath(treeFd, name, OPEN_DIRECTORY);
  if (fd < 0) return; // an entry replaced it later
  try {
    const below = lower.find(path);
    if (below?.status.type === 'directory') copyMetadata(below.layerFd, name, fd);
    else setTimesFd(fd, { seconds: 0, nanoseconds: 0 });
  } finally {
    closeFd(fd);
  }
}

/**
 * Removes a whiteout that hides nothing. The kernel passes a directory that it does not merge with a lower one through as
 * it is, and a program would see the whiteout's name in it, and then not find it.
 */
function dropIfIdle(treeFd: number, path: string, lower: LowerView): void {
  const directory = directoryOf(path);
  const fd = tryOpenBeneath(treeFd, directory === '' ? '.' : toFileName(directory), OPEN_DIRECTORY);
  if (fd < 0) return; // an entry replaced it later
  try {
    const name = toFileName(baseOf(path));
    const status = findStatusAt(fd, name);
    if (status === undefined || !isWhiteout(status)) return;
    if (lower.find(path) !== undefined && !isBelowOpaque(treeFd, directory)) return;
    keepingTime(fd, () => unlinkAt(fd, name));
  } finally {
    closeFd(fd);
  }
}

/** `directory` is known to lead through no link. */
function isBelowOpaque(treeFd: number, directory: string): boolean {
  for (let at = directory; at !== ''; at = directoryOf(at)) if (isOpaqueAt(treeFd, toFileName(at))) return true;
  return false;
}

/** The kernel always merges the root directories, so that an opaque one is spelled out entry by entry. */
function hideRoot(treeFd: number, lower: LowerView): void {
  keepingTime(treeFd, () => {
    for (const name of lower.names('')) {
      const own = findStatusAt(treeFd, toFileName(name));
      if (own === undefined) makeNodeAt(treeFd, toFileName(name), 'character-device', 0);
      else if (own.type === 'directory') withDirectory({ fd: treeFd, path: '' }, name, makeOpaque);
    }
  });
}

/** Changes a directory's entries without a trace in its time, which its own entry has set. */
function keepingTime(directoryFd: number, change: () => void): void {
  const { mtime } = statusOf(directoryFd);
  change();
  setTimesFd(directoryFd, mtime);
}
