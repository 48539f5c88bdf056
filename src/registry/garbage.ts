import type { BlobStore } from './blob-store.ts';
import type { Credentials } from './credentials.ts';
import type { Database } from './database.ts';
import type { Uploads } from './uploads.ts';

export interface Collected {
  readonly blobs: number;
  readonly bytes: number;
}

/** How long a blob may wait in a repository for the manifest that names it, in milliseconds. */
const linkGrace = 24 * 3600_000;

/**
 * Frees what nobody can reach: uploads and sessions that ran out, links that no manifest came for within a day, and
 * then the bytes that no repository holds. Safe beside pushes, of another process too: bytes go in a transaction that
 * saw no row for them, and a push keeps them by a row in one that saw the bytes; the two contend for the digest.
 */
export async function collectGarbage(
  {
    db,
    store,
    uploads,
    credentials,
  }: {
    readonly db: Database;
    readonly store: Pick<BlobStore, 'list' | 'remove' | 'sweep'>;
    readonly uploads: Pick<Uploads, 'sweep'>;
    readonly credentials: Pick<Credentials, 'sweep'>;
  },
  { signal, grace = linkGrace }: { readonly signal?: AbortSignal; readonly grace?: number } = {},
): Promise<Collected> {
  await uploads.sweep();
  await credentials.sweep();
  await store.sweep();
  const waiting = `linked <= ? AND NOT EXISTS
       (SELECT 1 FROM manifest_parts p WHERE p.repository = blobs.repository AND p.digest = blobs.digest)`;
  const owners = db.prepare(
    `SELECT DISTINCT r.account FROM repositories r JOIN blobs ON blobs.repository = r.id WHERE ${waiting}`,
  );
  const unlink = db.prepare(
    `DELETE FROM blobs WHERE ${waiting} AND repository IN (SELECT id FROM repositories WHERE account = ?)`,
  );
  const before = Date.now() - grace;
  // A manifest that comes meanwhile contends for its namespace, and then finds its parts, or misses them.
  for (const { account } of await owners.all(before))
    await db.transact([`namespace ${Number(account)}`], () => unlink.run(before, Number(account)));
  const holder = db.prepare(
    `SELECT 1 AS held FROM blobs WHERE digest = :digest UNION ALL SELECT 1 FROM manifests WHERE digest = :digest LIMIT 1`,
  );
  let blobs = 0;
  let bytes = 0;
  for await (const { digest, size } of store.list()) {
    if (signal?.aborted) break;
    if ((await holder.get({ digest })) !== undefined) continue;
    const afterwards = await db.transact([digest], async () =>
      (await holder.get({ digest })) === undefined ? await store.remove(digest) : undefined,
    );
    if (afterwards === undefined) continue;
    await afterwards();
    blobs++;
    bytes += size;
  }
  return { blobs, bytes };
}
