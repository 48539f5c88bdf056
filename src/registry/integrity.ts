import { createHash } from 'node:crypto';
import { parseDigest } from '#oci/index.ts';
import type { BlobStore } from './blob-store.ts';
import type { Database } from './database.ts';

/** What is wrong with a hub's store: one line each. */
export interface IntegrityReport {
  /** Blobs whose bytes were read and hashed. */
  readonly blobs: number;
  readonly bytes: number;
  readonly problems: readonly string[];
}

/**
 * Reads every blob and compares its bytes with its digest; then looks that all which repositories name is there, in the
 * size they say. May run while the hub serves.
 */
export async function checkIntegrity(
  { db, store }: { readonly db: Database; readonly store: Pick<BlobStore, 'list' | 'open' | 'stat'> },
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<IntegrityReport> {
  const problems: string[] = [];
  const options = signal === undefined ? {} : { signal };
  let blobs = 0;
  let bytes = 0;
  for await (const { digest } of store.list()) {
    const { algorithm, hex } = parseDigest(digest);
    const hash = createHash(algorithm);
    for await (const chunk of (await store.open(digest, options)) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    blobs++;
    const actual = hash.digest('hex');
    if (actual !== hex) problems.push(`${digest} holds bytes of ${algorithm}:${actual}`);
  }
  const named = db.prepare(
    `SELECT digest, size, r.name FROM blobs b JOIN repositories r ON r.id = b.repository
       UNION SELECT digest, size, r.name FROM manifests m JOIN repositories r ON r.id = m.repository`,
  );
  for (const { digest, size, name } of await named.all()) {
    const found = await store.stat(String(digest));
    if (found === undefined) problems.push(`${String(name)} names ${String(digest)}, which is not there`);
    else if (found.size !== Number(size))
      problems.push(`${String(name)} has ${String(digest)} with ${Number(size)} bytes, the file has ${found.size}`);
  }
  return { blobs, bytes, problems };
}
