import { unlinkSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import type { ContentStore } from '#content/index.ts';
import type { Credentials } from './credentials.ts';
import { transact } from './database.ts';
import type { Uploads } from './uploads.ts';

export interface Collected {
  readonly blobs: number;
  readonly bytes: number;
}

/** How long a blob may wait in a repository for the manifest that names it, in milliseconds. */
const linkGrace = 24 * 3600_000;

/**
 * Frees what nobody can reach: uploads and sessions that ran out, links that no manifest came for within a day, and
 * then the bytes that no repository holds. Safe beside pushes, of another process too: bytes go in a write transaction
 * that saw no row for them, and a push keeps them by a row in one that saw the bytes.
 */
export async function collectGarbage(
  {
    db,
    content,
    uploads,
    credentials,
  }: {
    readonly db: DatabaseSync;
    readonly content: Pick<ContentStore, 'list' | 'path'>;
    readonly uploads: Pick<Uploads, 'sweep'>;
    readonly credentials: Pick<Credentials, 'sweep'>;
  },
  { signal, grace = linkGrace }: { readonly signal?: AbortSignal; readonly grace?: number } = {},
): Promise<Collected> {
  await uploads.sweep();
  credentials.sweep();
  db.prepare(
    `DELETE FROM blobs WHERE linked <= ? AND NOT EXISTS
       (SELECT 1 FROM manifest_parts p WHERE p.repository = blobs.repository AND p.digest = blobs.digest)`,
  ).run(Date.now() - grace);
  const held = db.prepare(
    `SELECT EXISTS (SELECT 1 FROM blobs WHERE digest = :digest) OR EXISTS (SELECT 1 FROM manifests WHERE digest = :digest)
       AS held`,
  );
  let blobs = 0;
  let bytes = 0;
  for await (const { digest, size } of content.list()) {
    if (signal?.aborted) break;
    if (held.get({ digest })?.held === 1) continue;
    transact(db, () => {
      if (held.get({ digest })?.held === 1) return;
      unlinkSync(content.path(digest));
      blobs++;
      bytes += size;
    });
  }
  return { blobs, bytes };
}
