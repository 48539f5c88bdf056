import { chmod, mkdir } from 'node:fs/promises';
import { closeFd, type FileStatus, O_PATH, openDirectory, setTimesFd, statusOf, tryOpenBeneath } from '#linux/index.ts';
import type { Mount } from '#oci/index.ts';
import { baseOf, directoryOf } from './entry-path.ts';
import { extractTar } from './extract-tar.ts';
import { toFileName } from './file-name.ts';
import type { GraphDriver } from './graph-driver.ts';
import { openLowerView } from './lower-view.ts';
import { OPEN_DIRECTORY } from './make-entry.ts';
import { type PackPolicy, packTree } from './pack-tree.ts';
import { openSnapshotStore } from './snapshot-store.ts';
import { createStagedTree } from './staged-layer.ts';
import { createStoreDriver } from './store-driver.ts';
import { type Change, treeChanges } from './tree-changes.ts';
import { WHITEOUT_PREFIX } from './whiteouts.ts';

/**
 * Every layer and diff a complete tree, copied from its parent: slow and large, and works wherever files do. Mounts are
 * binds. `volatile` has no meaning here.
 * @throws GantryError corrupt, exhausted, forbidden
 */
export async function createVfsDriver({ root }: { readonly root: string }): Promise<GraphDriver> {
  const store = await openSnapshotStore(root);
  const treeOf = (chainId: string): string => `${store.layerPath(chainId)}/diff`;

  function* changes(treeFd: number, parent: string | undefined): Generator<Change, void> {
    using lower = openLowerView(parent === undefined ? [] : [treeOf(parent)]);
    yield* treeChanges(treeFd, lower, 'complete');
  }

  async function beginDiff(directory: string, parent: string | undefined): Promise<void> {
    const tree = `${directory}/diff`;
    await mkdir(tree);
    await chmod(tree, 0o755);
    if (parent !== undefined) await copyTree(treeOf(parent), tree);
  }

  return createStoreDriver(store, {
    name: 'vfs',
    independentLayers: false,
    async beginLayer(directory, parent) {
      await beginDiff(directory, parent);
      return createStagedTree(directory, 'apply', (treeFd, { implied }) => {
        for (const path of implied) if (path !== '') setEpoch(treeFd, path);
      });
    },
    beginDiff,
    openTree: (chainId) => openDirectory(treeOf(chainId)),
    mounts: async (directory) => bind(`${directory}/diff`, 'rw'),
    view: ([top = '']) => bind(treeOf(top), 'ro'),
    changes,
    size(treeFd, parent) {
      let size = 0;
      for (const { path, kind } of changes(treeFd, parent)) {
        const status = kind === 'deleted' ? undefined : statusBeneath(treeFd, path);
        if (status?.type === 'file') size += status.size;
      }
      return size;
    },
    packing: (treeFd, parent) => changesOnly(changes(treeFd, parent)),
    forget: () => undefined,
    close: () => undefined,
  });
}

/** Of a path that a walk has just seen; a container may have put links on it since. */
function statusBeneath(treeFd: number, path: string): FileStatus | undefined {
  const fd = tryOpenBeneath(treeFd, toFileName(path), O_PATH);
  if (fd < 0) return undefined;
  try {
    return statusOf(fd);
  } finally {
    closeFd(fd);
  }
}

/** A directory that no entry describes; so that equal archives make equal trees. */
function setEpoch(treeFd: number, path: string): void {
  const fd = tryOpenBeneath(treeFd, toFileName(path), OPEN_DIRECTORY);
  if (fd < 0) return; // an entry replaced it later
  setTimesFd(fd, { seconds: 0, nanoseconds: 0 });
  closeFd(fd);
}

const bind = (source: string, access: 'rw' | 'ro'): readonly Mount[] => [
  { destination: '/', type: 'bind', source, options: ['rbind', access] },
];

async function copyTree(from: string, to: string): Promise<void> {
  const [fromFd, toFd] = [openDirectory(from), openDirectory(to)];
  try {
    await extractTar(packTree(fromFd, { root: true }), toFd, { whiteouts: 'literal' });
  } finally {
    closeFd(fromFd);
    closeFd(toFd);
  }
}

/** Packs what changed, and a whiteout for each name that is gone at the start of its directory. */
function changesOnly(changes: Iterable<Change>): PackPolicy {
  const kept = new Set<string>();
  const deleted = new Map<string, string[]>();
  for (const { path, kind } of changes) {
    if (kind !== 'deleted') kept.add(path);
    else {
      const names = deleted.get(directoryOf(path)) ?? [];
      deleted.set(directoryOf(path), names);
      names.push(WHITEOUT_PREFIX + baseOf(path));
    }
  }
  return {
    decide: (path) => (kept.has(path) ? 'keep' : 'skip'),
    whiteoutsIn: (path) => deleted.get(path) ?? [],
  };
}
