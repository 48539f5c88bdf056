import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { Descriptor } from '#oci/index.ts';

/**
 * Indexes that tags stand for. A tag always names one image, the one that is used here; where an index was made for it
 * too, that is what is pushed and saved under the tag. Its row goes with the tag or with what the tag names.
 */
const schema = `
  CREATE TABLE IF NOT EXISTS images_indexes (digest TEXT PRIMARY KEY, document BLOB NOT NULL) STRICT;
  -- What an index leads to: images that are held here as such, and all other blobs (attestations).
  CREATE TABLE IF NOT EXISTS images_index_parts (
    index_digest TEXT NOT NULL REFERENCES images_indexes (digest) ON DELETE CASCADE, digest TEXT NOT NULL,
    kind TEXT NOT NULL, PRIMARY KEY (index_digest, digest)) STRICT;
  CREATE INDEX IF NOT EXISTS images_index_parts_digest ON images_index_parts (digest);
  CREATE TABLE IF NOT EXISTS images_tag_indexes (
    tag TEXT PRIMARY KEY REFERENCES images_tags (name) ON DELETE CASCADE,
    index_digest TEXT NOT NULL REFERENCES images_indexes (digest)) STRICT;
`;

/** What an index leads to. */
export interface IndexParts {
  /** Manifests of images. */
  readonly images: readonly string[];
  /** Manifests, configs and layers of attestations. */
  readonly blobs: readonly string[];
}

const text = (value: SQLOutputValue | undefined): string => String(value);

export function createIndexTable(db: DatabaseSync) {
  db.exec(schema);
  const sql = {
    put: db.prepare('INSERT OR IGNORE INTO images_indexes VALUES (?, ?)'),
    putPart: db.prepare('INSERT OR IGNORE INTO images_index_parts VALUES (?, ?, ?)'),
    putTag: db.prepare('INSERT OR REPLACE INTO images_tag_indexes VALUES (?, ?)'),
    ofTag: db.prepare(
      `SELECT digest, document FROM images_tag_indexes JOIN images_indexes ON digest = index_digest WHERE tag = ?`,
    ),
    parts: db.prepare('SELECT digest, kind FROM images_index_parts WHERE index_digest = ? ORDER BY rowid'),
    orphans: db.prepare(
      'SELECT digest FROM images_indexes WHERE digest NOT IN (SELECT index_digest FROM images_tag_indexes)',
    ),
    drop: db.prepare('DELETE FROM images_indexes WHERE digest = ?'),
    uses: db.prepare(
      `SELECT 1 FROM images_index_parts WHERE digest = ?1 UNION ALL SELECT 1 FROM images_indexes WHERE digest = ?1 LIMIT 1`,
    ),
    members: db.prepare(
      "SELECT DISTINCT digest FROM images_index_parts NATURAL JOIN images_tag_indexes WHERE kind = 'image'",
    ),
  };
  const partsOf = (digest: string): IndexParts => {
    const rows = sql.parts.all(digest);
    const of = (kind: string) => rows.filter((row) => text(row.kind) === kind).map((row) => text(row.digest));
    return { images: of('image'), blobs: of('blob') };
  };
  return {
    put(digest: string, document: Uint8Array, { images, blobs }: IndexParts): void {
      sql.put.run(digest, document);
      for (const image of images) sql.putPart.run(digest, image, 'image');
      for (const blob of blobs) sql.putPart.run(digest, blob, 'blob');
    },
    putTag: (tag: string, digest: string): void => void sql.putTag.run(tag, digest),
    /** The index that a tag stands for, if it does. */
    ofTag(
      tag: string,
    ): { readonly descriptor: Descriptor; readonly bytes: Uint8Array; readonly parts: IndexParts } | undefined {
      const row = sql.ofTag.get(tag);
      if (row === undefined || !(row.document instanceof Uint8Array)) return undefined;
      const digest = text(row.digest);
      const mediaType = 'application/vnd.oci.image.index.v1+json';
      return {
        descriptor: { mediaType, digest, size: row.document.length },
        bytes: row.document,
        parts: partsOf(digest),
      };
    },
    /** Takes indexes away that no tag stands for any more. @returns what they led to */
    dropOrphans(): readonly (IndexParts & { readonly digest: string })[] {
      const orphans = sql.orphans.all().map((row) => ({ digest: text(row.digest), ...partsOf(text(row.digest)) }));
      for (const { digest } of orphans) sql.drop.run(digest);
      return orphans;
    },
    usesBlob: (digest: string): boolean => sql.uses.get(digest) !== undefined,
    /** Images that an index leads to which a tag stands for. */
    members: (): ReadonlySet<string> => new Set(sql.members.all().map((row) => text(row.digest))),
  };
}

export type IndexTable = ReturnType<typeof createIndexTable>;
