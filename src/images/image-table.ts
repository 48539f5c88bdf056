import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { Descriptor } from '#oci/index.ts';
import { type ImageDocument, imageDocument } from './image-document.ts';
import { createIndexTable } from './index-table.ts';
import { createShownDocuments, type ShownDocument } from './shown-documents.ts';

/** A manifest this engine holds, with the key of its image: the config's digest. */
export interface HeldManifest {
  readonly digest: string;
  readonly configDigest: string;
}

/** A manifest as a registry had it under a name. */
export interface SeenDigest {
  readonly name: string;
  readonly digest: string;
}

const schema = `
  CREATE TABLE IF NOT EXISTS images_manifests (
    digest TEXT PRIMARY KEY, media_type TEXT NOT NULL, document BLOB NOT NULL,
    config_digest TEXT NOT NULL, config BLOB NOT NULL) STRICT;
  CREATE INDEX IF NOT EXISTS images_manifests_config ON images_manifests (config_digest);
  CREATE TABLE IF NOT EXISTS images_manifest_layers (
    manifest TEXT NOT NULL REFERENCES images_manifests (digest) ON DELETE CASCADE, position INTEGER NOT NULL,
    digest TEXT NOT NULL, chain_id TEXT NOT NULL, PRIMARY KEY (manifest, position)) STRICT;
  CREATE INDEX IF NOT EXISTS images_manifest_layers_digest ON images_manifest_layers (digest);
  CREATE INDEX IF NOT EXISTS images_manifest_layers_chain ON images_manifest_layers (chain_id);
  CREATE TABLE IF NOT EXISTS images_tags (
    name TEXT PRIMARY KEY, manifest TEXT NOT NULL REFERENCES images_manifests (digest)) STRICT;
  CREATE TABLE IF NOT EXISTS images_repo_digests (
    name TEXT NOT NULL, digest TEXT NOT NULL, manifest TEXT NOT NULL REFERENCES images_manifests (digest),
    PRIMARY KEY (name, digest)) STRICT;
  -- Unpacked layers this service made or took over, with the bytes of their files.
  CREATE TABLE IF NOT EXISTS images_layers (chain_id TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT;
  -- What a layer blob was found to decompress to.
  CREATE TABLE IF NOT EXISTS images_blobs (digest TEXT PRIMARY KEY, diff_id TEXT NOT NULL) STRICT;
  -- Repositories a blob is known to be in, for cross-repository mounts.
  CREATE TABLE IF NOT EXISTS images_blob_sources (
    digest TEXT NOT NULL, registry TEXT NOT NULL, repository TEXT NOT NULL,
    PRIMARY KEY (digest, registry, repository)) STRICT;
`;

type Row = Readonly<Record<string, SQLOutputValue>>;
const text = (value: SQLOutputValue | undefined): string => String(value);
const bytes = (value: SQLOutputValue | undefined): Uint8Array =>
  value instanceof Uint8Array ? value : new Uint8Array();

/** Rows that have a config's digest, under it, in their order. */
function grouped<T>(rows: readonly Row[], value: (row: Row) => T): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const config = text(row.config_digest);
    const group = groups.get(config);
    if (group === undefined) groups.set(config, [value(row)]);
    else group.push(value(row));
  }
  return groups;
}

/** The rows behind the image service. Every change is one transaction, and is made after what it names is durable. */
export function createImageTable(db: DatabaseSync) {
  db.exec(schema);
  const indexes = createIndexTable(db);
  const sql = {
    manifest: db.prepare('SELECT * FROM images_manifests WHERE digest = ?'),
    manifestsOfConfig: db.prepare('SELECT digest FROM images_manifests WHERE config_digest = ? ORDER BY rowid DESC'),
    manifests: db.prepare(
      'SELECT digest, config_digest, media_type, length(document) AS size FROM images_manifests ORDER BY rowid',
    ),
    byPrefix: db.prepare(
      `SELECT DISTINCT config_digest FROM images_manifests WHERE config_digest >= ? AND config_digest < ? LIMIT 2`,
    ),
    insertManifest: db.prepare('INSERT OR IGNORE INTO images_manifests VALUES (?, ?, ?, ?, ?)'),
    insertLayer: db.prepare('INSERT OR IGNORE INTO images_manifest_layers VALUES (?, ?, ?, ?)'),
    dropManifest: db.prepare('DELETE FROM images_manifests WHERE digest = ?'),
    dropManifestLayers: db.prepare('DELETE FROM images_manifest_layers WHERE manifest = ?'),
    tag: db.prepare('SELECT manifest FROM images_tags WHERE name = ?'),
    tags: db.prepare('SELECT name, manifest FROM images_tags ORDER BY name'),
    tagsOfConfig: db.prepare(
      'SELECT name FROM images_tags JOIN images_manifests ON manifest = digest WHERE config_digest = ? ORDER BY name',
    ),
    tagsWithConfig: db.prepare(
      'SELECT config_digest, name FROM images_tags JOIN images_manifests ON manifest = digest ORDER BY name',
    ),
    putTag: db.prepare('INSERT OR REPLACE INTO images_tags VALUES (?, ?)'),
    dropTag: db.prepare('DELETE FROM images_tags WHERE name = ?'),
    repoDigest: db.prepare('SELECT manifest FROM images_repo_digests WHERE name = ? AND digest = ?'),
    repoDigestsOfConfig: db.prepare(
      `SELECT r.name, r.digest FROM images_repo_digests r JOIN images_manifests m ON r.manifest = m.digest
       WHERE config_digest = ? ORDER BY r.name, r.digest`,
    ),
    repoDigestsWithConfig: db.prepare(
      `SELECT config_digest, r.name, r.digest FROM images_repo_digests r JOIN images_manifests m ON r.manifest = m.digest
       ORDER BY r.name, r.digest`,
    ),
    putRepoDigest: db.prepare('INSERT OR REPLACE INTO images_repo_digests VALUES (?, ?, ?)'),
    dropRepoDigest: db.prepare('DELETE FROM images_repo_digests WHERE name = ? AND digest = ?'),
    unpackedSize: db.prepare(
      'SELECT coalesce(sum(size), 0) AS size FROM images_manifest_layers NATURAL JOIN images_layers WHERE manifest = ?',
    ),
    unpackedSizes: db.prepare(
      'SELECT manifest, sum(size) AS size FROM images_manifest_layers NATURAL JOIN images_layers GROUP BY manifest',
    ),
    layers: db.prepare('SELECT chain_id, size FROM images_layers'),
    layer: db.prepare('SELECT size FROM images_layers WHERE chain_id = ?'),
    putLayer: db.prepare('INSERT OR REPLACE INTO images_layers VALUES (?, ?)'),
    dropLayer: db.prepare('DELETE FROM images_layers WHERE chain_id = ?'),
    strayLayers: db.prepare(
      'SELECT chain_id FROM images_layers WHERE chain_id NOT IN (SELECT chain_id FROM images_manifest_layers)',
    ),
    usesChain: db.prepare('SELECT 1 FROM images_manifest_layers WHERE chain_id = ? LIMIT 1'),
    usesBlob: db.prepare(
      `SELECT 1 FROM images_manifest_layers WHERE digest = ?1
       UNION ALL SELECT 1 FROM images_manifests WHERE digest = ?1 OR config_digest = ?1 LIMIT 1`,
    ),
    blob: db.prepare('SELECT diff_id FROM images_blobs WHERE digest = ?'),
    putBlob: db.prepare('INSERT OR REPLACE INTO images_blobs VALUES (?, ?)'),
    dropBlob: db.prepare('DELETE FROM images_blobs WHERE digest = ?'),
    sources: db.prepare(
      'SELECT repository FROM images_blob_sources WHERE digest = ? AND registry = ? ORDER BY rowid DESC',
    ),
    putSource: db.prepare('INSERT OR IGNORE INTO images_blob_sources VALUES (?, ?, ?)'),
    dropSources: db.prepare('DELETE FROM images_blob_sources WHERE digest = ?'),
  };

  const transaction = <T>(work: () => T): T => {
    db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      db.exec('COMMIT');
      return result;
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK'); // a full disk rolls back by itself
      throw error;
    }
  };

  const document = (digest: string): ImageDocument | undefined => {
    const row = sql.manifest.get(digest);
    if (row === undefined) return undefined;
    const manifest = { bytes: bytes(row.document), mediaType: text(row.media_type) };
    return imageDocument(manifest, bytes(row.config), digest);
  };
  const shown = createShownDocuments(document);

  return {
    transaction,
    indexes,
    /** The documents of a held manifest, read and checked each time. */
    document,
    /** What they say, checked when it was first asked for. */
    shown: (digest: string): ShownDocument | undefined => shown.of(digest),
    holdsManifest: (digest: string): boolean => sql.manifest.get(digest) !== undefined,
    /** Manifests with one config, the newest first. */
    manifestsOf: (configDigest: string): readonly string[] =>
      sql.manifestsOfConfig.all(configDigest).map((row) => text(row.digest)),
    /** In the order they came. */
    manifests: (): readonly HeldManifest[] =>
      sql.manifests.all().map((row) => ({ digest: text(row.digest), configDigest: text(row.config_digest) })),
    /** At most two image ids that begin so. */
    idsByPrefix: (hex: string): readonly string[] =>
      sql.byPrefix.all(`sha256:${hex}`, `sha256:${hex}g`).map((row) => text(row.config_digest)),
    putManifest({ descriptor, manifestBytes, manifest, configBytes, chain }: ImageDocument): void {
      const { digest, mediaType } = descriptor;
      sql.insertManifest.run(digest, mediaType, manifestBytes, manifest.config.digest, configBytes);
      for (const [position, layer] of chain.entries())
        sql.insertLayer.run(digest, position, layer.descriptor.digest, layer.chainId);
    },
    dropManifest(digest: string): void {
      sql.dropManifestLayers.run(digest);
      sql.dropManifest.run(digest);
      shown.forget(digest);
    },

    /** The manifest digest a canonical name with tag stands for. */
    tag(name: string): string | undefined {
      const row = sql.tag.get(name);
      return row === undefined ? undefined : text(row.manifest);
    },
    tagsOf: (configDigest: string): readonly string[] =>
      sql.tagsOfConfig.all(configDigest).map((row) => text(row.name)),
    /** Tags of all images, by config. */
    tagsByConfig: (): ReadonlyMap<string, readonly string[]> =>
      grouped(sql.tagsWithConfig.all(), (row) => text(row.name)),
    putTag: (name: string, manifest: string): void => void sql.putTag.run(name, manifest),
    dropTag: (name: string): void => void sql.dropTag.run(name),

    repoDigest(name: string, digest: string): string | undefined {
      const row = sql.repoDigest.get(name, digest);
      return row === undefined ? undefined : text(row.manifest);
    },
    repoDigestsOf: (configDigest: string): readonly SeenDigest[] =>
      sql.repoDigestsOfConfig.all(configDigest).map((row) => ({ name: text(row.name), digest: text(row.digest) })),
    repoDigestsByConfig: (): ReadonlyMap<string, readonly SeenDigest[]> =>
      grouped(sql.repoDigestsWithConfig.all(), (row) => ({ name: text(row.name), digest: text(row.digest) })),
    putRepoDigest: (name: string, digest: string, manifest: string): void =>
      void sql.putRepoDigest.run(name, digest, manifest),
    dropRepoDigest: (name: string, digest: string): void => void sql.dropRepoDigest.run(name, digest),

    /** What `index.json` says: each tag with its manifest, then the manifests without one. */
    index(): readonly { descriptor: Descriptor; tag: string | undefined }[] {
      const tags = sql.tags.all().map((row) => ({ name: text(row.name), manifest: text(row.manifest) }));
      return sql.manifests.all().flatMap((row): { descriptor: Descriptor; tag: string | undefined }[] => {
        const digest = text(row.digest);
        const descriptor = { mediaType: text(row.media_type), digest, size: Number(row.size) };
        const names = tags.filter((tag) => tag.manifest === digest);
        if (names.length === 0) return [{ descriptor, tag: undefined }];
        return names.map((tag) => ({ descriptor, tag: tag.name }));
      });
    },

    unpackedSize: (manifest: string): number => Number(sql.unpackedSize.get(manifest)?.size ?? 0),
    /** Of all manifests that have a layer which is unpacked. */
    unpackedSizes: (): ReadonlyMap<string, number> =>
      new Map(sql.unpackedSizes.all().map((row) => [text(row.manifest), Number(row.size)])),
    hasLayer: (chainId: string): boolean => sql.layer.get(chainId) !== undefined,
    putLayer: (chainId: string, size: number): void => void sql.putLayer.run(chainId, size),
    dropLayer: (chainId: string): void => void sql.dropLayer.run(chainId),
    /** Unpacked layers that no image has. */
    strayLayers: (): readonly string[] => sql.strayLayers.all().map((row) => text(row.chain_id)),
    usesChain: (chainId: string): boolean => sql.usesChain.get(chainId) !== undefined,
    usesBlob: (digest: string): boolean => sql.usesBlob.get(digest) !== undefined || indexes.usesBlob(digest),

    diffIdOf(digest: string): string | undefined {
      const row = sql.blob.get(digest);
      return row === undefined ? undefined : text(row.diff_id);
    },
    putDiffId: (digest: string, diffId: string): void => void sql.putBlob.run(digest, diffId),
    /** Repositories of a registry that have the blob, the latest seen first. */
    sourcesOf: (digest: string, registry: string): readonly string[] =>
      sql.sources.all(digest, registry).map((row) => text(row.repository)),
    putSource: (digest: string, registry: string, repository: string): void =>
      void sql.putSource.run(digest, registry, repository),
    /** What the database finds wrong with itself and with rows that name others (sqlite: integrity_check, foreign_key_check). */
    faults: (): readonly string[] => [
      ...db
        .prepare('PRAGMA integrity_check')
        .all()
        .map((row) => text(row.integrity_check))
        .filter((line) => line !== 'ok'),
      ...db
        .prepare('PRAGMA foreign_key_check')
        .all()
        .map((row) => `a row of ${text(row.table)} names one of ${text(row.parent)} that is not there`),
    ],
    /** Chain ids of all unpacked layers that are known here. */
    layers: (): readonly string[] => sql.layers.all().map((row) => text(row.chain_id)),
    sizeOfLayer: (chainId: string): number | undefined => {
      const row = sql.layer.get(chainId);
      return row === undefined ? undefined : Number(row.size);
    },
    sizesOfLayers: (): ReadonlyMap<string, number> =>
      new Map(sql.layers.all().map((row) => [text(row.chain_id), Number(row.size)])),
    forgetBlob(digest: string): void {
      sql.dropBlob.run(digest);
      sql.dropSources.run(digest);
    },
  };
}

export type ImageTable = ReturnType<typeof createImageTable>;
