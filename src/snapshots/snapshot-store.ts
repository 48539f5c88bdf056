import { randomUUID } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { GantryError, isGantryError } from '#errors/index.ts';
import {
  closeFd,
  fileOperation,
  openDirectory,
  removeTree,
  spreadBelow,
  syncFd,
  syncFileSystem,
} from '#linux/index.ts';
import { isDigest, parseDigest } from '#oci/index.ts';

/**
 * What both drivers keep on disk, and the only place that renames in it:
 *
 *   layers/<hex>/{layer.json,diff/}    a committed layer as a tree
 *   layers/<hex>/{layer.json,layer.erofs}  and as an image
 *   diffs/<id>/{diff.json,diff/,work/} a writable diff (`work/` is the overlay's own)
 *   staging/<uuid>/                    what is being made or removed; swept when the store is opened
 *
 * A directory appears under `layers/` or `diffs/` by one rename, whole, and leaves by one. One process owns a root, so
 * what is there is read once and known from then on.
 */
export interface SnapshotStore {
  readonly root: string;
  /** Of the running kernel (/proc/sys/kernel/random/boot_id). */
  readonly bootId: string;
  readonly layers: ReadonlyMap<string, LayerRecord>;
  readonly diffs: ReadonlyMap<string, DiffRecord>;
  layerPath(chainId: string): string;
  diffPath(id: string): string;
  /** @throws GantryError not-found */
  layer(chainId: string): LayerRecord;
  diff(id: string): DiffRecord;
  /** The chain's layers, topmost first. @throws GantryError not-found */
  chain(top: string | undefined): readonly string[];
  /** A new directory for something that is being made. */
  stage(): Promise<string>;
  /** Removes a staged directory. */
  discard(staged: string): Promise<void>;
  /** Makes a staged directory durable, and visible as a layer; where the layer exists, removes it. */
  publishLayer(staged: string, chainId: string, record: LayerRecord): Promise<void>;
  /** Makes a staged directory visible as a diff, durable unless volatile. @throws GantryError conflict */
  publishDiff(staged: string, id: string, options: { parent: string | undefined; volatile: boolean }): Promise<void>;
  /** Turns a diff's directory into a layer's. */
  promoteDiff(id: string, chainId: string, size: number): Promise<void>;
  removeLayer(chainId: string): Promise<void>;
  /** Moves a layer to the place of another, whose tree goes. */
  replaceLayer(from: string, chainId: string): Promise<void>;
  /** Idempotent. */
  removeDiff(id: string): Promise<void>;
  /** See graph-driver.ts. */
  hideDiff(id: string): Promise<() => Promise<void>>;
}

export interface LayerRecord {
  readonly parent: string | undefined;
  readonly size: number;
  /** It is `layer.erofs`, in place of a tree. */
  readonly image?: true;
}

export interface DiffRecord {
  readonly parent: string | undefined;
  /** The boot that made it, where what is written in it is never synced: worth nothing after another. */
  readonly volatileBoot: string | undefined;
}

/** Opens a store, made where missing; sweeps what a crash left. @throws GantryError corrupt, exhausted, forbidden */
export async function openSnapshotStore(root: string): Promise<SnapshotStore> {
  const at = { layers: `${root}/layers`, diffs: `${root}/diffs`, staging: `${root}/staging` };
  for (const directory of [root, at.layers, at.diffs, at.staging])
    await fileOperation(`make ${directory}`, () => mkdir(directory, { recursive: true, mode: 0o711 }));
  spreadBelow(at.staging);
  for (const name of await readdir(at.staging)) await removeIn(at.staging, name);

  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const layers = new Map<string, LayerRecord>();
  const diffs = new Map<string, DiffRecord>();
  for (const hex of await readdir(at.layers)) {
    const chainId = `${hex.length === 64 ? 'sha256' : 'sha512'}:${hex}`;
    if (!isDigest(chainId)) continue;
    layers.set(chainId, await readRecord<LayerRecord>(`${at.layers}/${hex}/layer.json`));
    // What a layer was as a diff is left where a crash came right after it was promoted.
    for (const name of await readdir(`${at.layers}/${hex}`))
      if (!isOfLayer(name)) await removeIn(`${at.layers}/${hex}`, name);
  }
  for (const id of await readdir(at.diffs)) {
    try {
      diffs.set(id, await readRecord<DiffRecord>(`${at.diffs}/${id}/diff.json`));
    } catch (error) {
      // Only the record of a volatile diff is not synced before the diff is seen: it was torn by a crash of the machine.
      if (!isGantryError(error, 'corrupt')) throw error;
      await removeIn(at.diffs, id);
    }
  }

  const layerPath = (chainId: string): string => `${at.layers}/${parseDigest(chainId).hex}`;
  const diffPath = (id: string): string => `${at.diffs}/${checkId(id)}`;

  function layer(chainId: string): LayerRecord {
    const record = layers.get(chainId);
    if (record === undefined) throw new GantryError('not-found', `layer ${chainId} is not unpacked here`);
    return record;
  }

  function diff(id: string): DiffRecord {
    const record = diffs.get(checkId(id));
    if (record === undefined) throw new GantryError('not-found', `there is no writable layer "${id}"`);
    return record;
  }

  /** Out of sight by one rename; returns how to remove it. */
  async function hide(directory: string, name: string): Promise<() => Promise<void>> {
    const doomed = randomUUID();
    await fileOperation(`remove ${directory}/${name}`, async () =>
      renameSync(`${directory}/${name}`, `${at.staging}/${doomed}`),
    );
    return () => removeIn(at.staging, doomed);
  }

  const discard = (staged: string): Promise<void> => removeIn(at.staging, staged.slice(at.staging.length + 1));

  const hideDiff = async (id: string): Promise<() => Promise<void>> =>
    diffs.delete(checkId(id)) ? await hide(at.diffs, id) : async () => undefined;

  async function removeDiff(id: string): Promise<void> {
    await (await hideDiff(id))();
  }

  /** Makes a directory visible as a layer, in one step with what is known of it; false where the layer is there already. */
  function appear(from: string, chainId: string, record: LayerRecord): boolean {
    if (layers.has(chainId)) return false;
    renameSync(from, layerPath(chainId));
    layers.set(chainId, record);
    return true;
  }

  return {
    root,
    bootId,
    layers,
    diffs,
    layerPath,
    diffPath,
    layer,
    diff,
    chain(top) {
      const chain: string[] = [];
      for (let next = top; next !== undefined; next = layer(next).parent) chain.push(next);
      return chain;
    },
    async stage() {
      const staged = `${at.staging}/${randomUUID()}`;
      await fileOperation(`make ${staged}`, async () => mkdirSync(staged, { mode: 0o711 }));
      return staged;
    },
    discard,
    async publishLayer(staged, chainId, record) {
      await fileOperation(`commit layer ${chainId}`, async () => {
        // An image is durable by itself; of a tree only all of the file system together is quickly so.
        await writeFile(`${staged}/layer.json`, JSON.stringify(record), { flush: record.image === true });
        await (record.image ? syncDirectory : syncFileSystemOf)(staged);
        if (appear(staged, chainId, record)) await syncDirectory(at.layers);
        else await discard(staged);
      });
    },
    async publishDiff(staged, id, { parent, volatile }) {
      const record: DiffRecord = { parent, volatileBoot: volatile ? bootId : undefined };
      const target = diffPath(id);
      await fileOperation(`make writable layer ${id}`, async () => {
        // What is not waited for on the disk costs less at once than through the thread pool.
        if (volatile) writeFileSync(`${staged}/diff.json`, JSON.stringify(record));
        else await writeFile(`${staged}/diff.json`, JSON.stringify(record), { flush: true });
        if (diffs.has(id)) throw new GantryError('conflict', `there is already a writable layer "${id}"`);
        renameSync(staged, target);
        diffs.set(id, record);
        if (!volatile) await syncDirectory(at.diffs);
      });
    },
    async promoteDiff(id, chainId, size) {
      const { parent } = diff(id);
      const from = diffPath(id);
      const to = layerPath(chainId);
      const record: LayerRecord = { parent, size };
      await fileOperation(`commit ${id} as layer ${chainId}`, async () => {
        await writeFile(`${from}/layer.json`, JSON.stringify(record));
        await syncFileSystemOf(from);
        if (!appear(from, chainId, record)) {
          await removeDiff(id);
          return;
        }
        diffs.delete(id);
        await syncDirectory(at.layers);
        for (const name of await readdir(to)) if (!isOfLayer(name)) await removeIn(to, name);
      });
    },
    async removeLayer(chainId) {
      layer(chainId);
      const users = [
        ...[...layers].filter(([, { parent }]) => parent === chainId).map(([child]) => `layer ${child}`),
        ...[...diffs].filter(([, { parent }]) => parent === chainId).map(([id]) => `writable layer ${id}`),
      ];
      if (users.length > 0)
        throw new GantryError('conflict', `layer ${chainId} is in use by ${users.join(', ')}`, {
          code: 'layer-in-use',
        });
      layers.delete(chainId);
      await (await hide(at.layers, parseDigest(chainId).hex))();
    },
    async replaceLayer(from, chainId) {
      const record = layer(from);
      await fileOperation(`put layer ${from} in the place of ${chainId}`, async () => {
        const doomed = randomUUID();
        const gone = layers.has(chainId);
        // A crash between the two leaves the layer missing, and the new one under its own name: a repair goes on from there.
        if (gone) renameSync(layerPath(chainId), `${at.staging}/${doomed}`);
        renameSync(layerPath(from), layerPath(chainId));
        layers.delete(from);
        layers.set(chainId, record);
        await syncDirectory(at.layers);
        if (gone) await removeIn(at.staging, doomed);
      });
    },
    removeDiff,
    hideDiff,
  };
}

/** The file that a layer is, in place of a tree. */
export const IMAGE_NAME = 'layer.erofs';

const isOfLayer = (name: string): boolean => name === 'diff' || name === 'layer.json' || name === IMAGE_NAME;

/** A caller's id becomes a file name. */
function checkId(id: string): string {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/.test(id))
    throw new GantryError('invalid', `"${id}" cannot name a writable layer; letters, digits and _.- do`);
  return id;
}

async function readRecord<T>(path: string): Promise<T> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch (error) {
    throw new GantryError('corrupt', `${path} cannot be read; remove its directory and pull the image again`, {
      cause: error,
    });
  }
}

/** Removes an entry of one of the store's own directories; nothing happens where there is none. */
async function removeIn(directory: string, name: string): Promise<void> {
  const fd = openDirectory(directory);
  try {
    await removeTree(fd, name);
  } catch (error) {
    if (!isGantryError(error, 'not-found')) throw error;
  } finally {
    closeFd(fd);
  }
}

async function withDirectoryFd<T>(path: string, use: (fd: number) => Promise<T>): Promise<T> {
  const fd = openDirectory(path);
  try {
    return await use(fd);
  } finally {
    closeFd(fd);
  }
}

const syncFileSystemOf = (path: string): Promise<void> => withDirectoryFd(path, syncFileSystem);
const syncDirectory = (path: string): Promise<void> => withDirectoryFd(path, syncFd);
