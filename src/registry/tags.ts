import type { Database } from './database.ts';
import type { Page, Repository } from './repositories.ts';

export interface Tag {
  readonly name: string;
  readonly digest: string;
  readonly mediaType: string;
  /** Bytes of the manifest and all that it names, each once. */
  readonly imageSize: number;
  /** Milliseconds since 1970. */
  readonly updated: number;
}

/** Tags as lists. Single ones are set and found through `Manifests`. */
export interface Tags {
  /** In the order of their names (distribution-spec: listing tags). */
  names(repository: Repository, page: Page): Promise<readonly string[]>;
  /** The newest first, at most `limit`. */
  newest(repository: Repository, limit: number): Promise<readonly Tag[]>;
}

export function createTags({ db }: { readonly db: Database }): Tags {
  const names = db.prepare('SELECT name FROM tags WHERE repository = ? AND name > ? ORDER BY name LIMIT ?');
  const newest = db.prepare(
    `SELECT t.name, t.digest, t.updated, m.media_type, m.image_size FROM tags t
       JOIN manifests m ON m.repository = t.repository AND m.digest = t.digest
       WHERE t.repository = ? ORDER BY t.updated DESC, t.name LIMIT ?`,
  );
  return {
    names: async ({ id }, { last, limit }) => (await names.all(id, last, limit)).map((row) => String(row.name)),
    newest: async ({ id }, limit) =>
      (await newest.all(id, limit)).map((row) => ({
        name: String(row.name),
        digest: String(row.digest),
        mediaType: String(row.media_type),
        imageSize: Number(row.image_size),
        updated: Number(row.updated),
      })),
  };
}
