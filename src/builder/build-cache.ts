import type { DatabaseSync } from 'node:sqlite';
import { type Descriptor, digestOf } from '#oci/index.ts';

/** What a step made, by its cache key. */
export interface CachedStep {
  /** Stands for the file system after the step, and is what keys of later steps build on. */
  readonly identity: string;
  /** A layer under a name of our own, of a stage that no image is made of. */
  readonly privateLayer?: string;
  /** The same as a layer of an image: its chain id and diff id, and its blob once that is compressed. */
  readonly layer?: string;
  readonly diffId?: string;
  readonly descriptor?: Descriptor;
  /** RFC 3339. */
  readonly created: string;
}

/** Steps by key, in the database. Layers and blobs it names may be gone: whoever uses one looks first. */
export interface BuildCache {
  find(key: string): CachedStep | undefined;
  put(key: string, step: CachedStep): void;
  /** Content digests of files in trees that never change. */
  findDigest(key: string): string | undefined;
  putDigest(key: string, digest: string): void;
  /** When a step that made a layer was asked for last, by the layer. */
  layerUses(): ReadonlyMap<string, Date>;
  /** The blob of a layer, where it is known. */
  blobOf(layer: string): string | undefined;
  /** Writes down what was used since the last time, all at once: every write of its own is a sync to disk. */
  noteUses(): void;
  /** The layer is gone, and what steps made of it. */
  forgetLayer(layer: string): void;
}

/** A key from everything a step's result depends on. */
export const cacheKey = (kind: string, inputs: readonly unknown[]): string =>
  digestOf(JSON.stringify(['gantry-build-1', kind, ...inputs]));

export function createBuildCache(db: DatabaseSync): BuildCache {
  db.exec(`
    CREATE TABLE IF NOT EXISTS build_cache (
      key TEXT PRIMARY KEY, identity TEXT NOT NULL, private_layer TEXT, layer TEXT, diff_id TEXT, descriptor TEXT,
      created TEXT NOT NULL, used INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS build_contents (key TEXT PRIMARY KEY, digest TEXT NOT NULL) STRICT;
  `);
  const select = db.prepare('SELECT * FROM build_cache WHERE key = ?');
  const touch = db.prepare('UPDATE build_cache SET used = ? WHERE key = ?');
  const insert = db.prepare('INSERT OR REPLACE INTO build_cache VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
  const selectDigest = db.prepare('SELECT digest FROM build_contents WHERE key = ?');
  const insertDigest = db.prepare('INSERT OR REPLACE INTO build_contents VALUES (?, ?)');
  const selectUses = db.prepare(`
    SELECT layer, max(used) AS used FROM (
      SELECT layer, used FROM build_cache UNION ALL SELECT private_layer, used FROM build_cache
    ) WHERE layer IS NOT NULL GROUP BY layer`);
  const selectBlob = db.prepare(
    'SELECT descriptor FROM build_cache WHERE layer = ? AND descriptor IS NOT NULL LIMIT 1',
  );
  const forget = [
    'DELETE FROM build_cache WHERE private_layer = ? AND layer IS NULL',
    'DELETE FROM build_cache WHERE layer = ? AND private_layer IS NULL',
    'UPDATE build_cache SET private_layer = NULL WHERE private_layer = ?',
    'UPDATE build_cache SET layer = NULL, diff_id = NULL, descriptor = NULL WHERE layer = ?',
  ].map((sql) => db.prepare(sql));
  const text = <K extends string>(key: K, value: unknown) =>
    (typeof value === 'string' ? { [key]: value } : {}) as { [P in K]?: string };
  const used = new Set<string>();
  return {
    find(key) {
      const row = select.get(key);
      if (row === undefined) return undefined;
      used.add(key);
      return {
        identity: String(row.identity),
        created: String(row.created),
        ...text('privateLayer', row.private_layer),
        ...text('layer', row.layer),
        ...text('diffId', row.diff_id),
        ...(typeof row.descriptor === 'string' ? { descriptor: JSON.parse(row.descriptor) as Descriptor } : {}),
      };
    },
    put(key, step) {
      insert.run(
        key,
        step.identity,
        step.privateLayer ?? null,
        step.layer ?? null,
        step.diffId ?? null,
        step.descriptor === undefined ? null : JSON.stringify(step.descriptor),
        step.created,
        Date.now(),
      );
    },
    findDigest(key) {
      const row = selectDigest.get(key);
      return row === undefined ? undefined : String(row.digest);
    },
    layerUses: () => new Map(selectUses.all().map((row) => [String(row.layer), new Date(Number(row.used))])),
    blobOf(layer) {
      const row = selectBlob.get(layer);
      return row === undefined ? undefined : (JSON.parse(String(row.descriptor)) as Descriptor).digest;
    },
    noteUses() {
      if (used.size === 0) return;
      const now = Date.now();
      db.exec('BEGIN');
      for (const key of used) touch.run(now, key);
      db.exec('COMMIT');
      used.clear();
    },
    forgetLayer(layer) {
      db.exec('BEGIN');
      for (const statement of forget) statement.run(layer);
      db.exec('COMMIT');
    },
    putDigest: (key, digest) => void insertDigest.run(key, digest),
  };
}
