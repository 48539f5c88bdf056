import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { GantryError } from '#errors/index.ts';
import { parseDigest } from '#oci/index.ts';
import type { BlobStore } from './blob-store.ts';
import type { Database } from './database.ts';
import { createObjectWriter } from './s3-object-writer.ts';
import type { S3Objects } from './s3-objects.ts';
import { createS3Uploads } from './s3-uploads.ts';

const readLimit = 8 << 20;
/** What no row names is left by a crash when it is older than this, in milliseconds. */
const leftAfter = 24 * 3600_000;

export interface S3BlobStoreOptions {
  /** Whether clients are sent to the bucket for a blob, or get it through the hub. */
  readonly redirect: boolean;
}

/**
 * Blobs in a bucket that any number of hubs share. A key is made once, for one upload, and never again: the database says
 * which key holds the bytes of a digest, so whether a blob is there is decided in its transactions alone, and nothing is
 * ever copied in the bucket.
 */
export function createS3BlobStore(
  { db, objects }: { readonly db: Database; readonly objects: S3Objects },
  { redirect }: S3BlobStoreOptions,
): BlobStore {
  const one = db.prepare('SELECT key, size FROM s3_objects WHERE digest = ?');
  const insert = db.prepare(
    'INSERT INTO s3_objects (digest, key, size) VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING',
  );
  const drop = db.prepare('DELETE FROM s3_objects WHERE digest = ?');
  const page = db.prepare('SELECT digest, size FROM s3_objects WHERE digest > ? ORDER BY digest LIMIT 1000');
  const uploading = db.prepare('SELECT 1 AS here FROM s3_uploads WHERE key = :key OR tail = :key');
  const stored = db.prepare('SELECT 1 AS here FROM s3_objects WHERE key = ?');

  const forgotten = db.prepare(
    'SELECT id FROM s3_uploads WHERE NOT EXISTS (SELECT 1 FROM uploads u WHERE u.id = s3_uploads.id)',
  );
  const uploads = createS3Uploads({ db, objects, newKey });

  const mustFind = async (digest: string): Promise<{ key: string; size: number }> => {
    const row = await one.get(digest);
    if (row === undefined) throw new GantryError('not-found', `the bucket has no blob ${digest}`);
    return { key: String(row.key), size: Number(row.size) };
  };

  return {
    async stat(digest) {
      parseDigest(digest);
      const row = await one.get(digest);
      return row === undefined ? undefined : { size: Number(row.size) };
    },
    async read(digest) {
      const { key, size } = await mustFind(digest);
      if (size > readLimit)
        throw new GantryError('exhausted', `blob ${digest} has ${size} bytes; at most ${readLimit} are read at once`);
      return Buffer.concat((await (await objects.get(key)).toArray()) as Buffer[]);
    },
    open: async (digest, options) => await objects.get((await mustFind(digest)).key, options),
    async place(digest) {
      const { key, size } = await mustFind(digest);
      if (redirect) return { kind: 'url', url: await objects.url(key) };
      if (size === 0) return { kind: 'stream', open: async () => Readable.from([]) };
      return { kind: 'stream', open: (start, end, signal) => objects.get(key, { start, end, signal }) };
    },
    async ingest(source, { digest }) {
      const { algorithm, hex } = parseDigest(digest);
      const hash = createHash(algorithm);
      const writer = createObjectWriter(objects, newKey());
      let size = 0;
      try {
        for await (const chunk of source) {
          hash.update(chunk);
          size += chunk.length;
          await writer.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
        }
        const actual = hash.digest('hex');
        if (actual !== hex)
          throw new GantryError('corrupt', `a blob should be ${digest}, and is ${algorithm}:${actual}`, {
            code: 'digest-mismatch',
          });
        const key = await writer.finish();
        if ((await insert.run(digest, key, size)) === 0) await objects.delete(key);
        return { size };
      } catch (error) {
        await writer.abandon();
        throw error;
      }
    },
    keep: async (digest) => (await one.get(digest)) !== undefined,
    async remove(digest) {
      const row = await one.get(digest);
      if (row === undefined) return async () => undefined;
      const key = String(row.key);
      await drop.run(digest);
      // An upload that is being finished may make it a blob again; then it is that upload's to delete.
      return await db.transact([key], async () =>
        (await uploading.get({ key })) === undefined ? () => objects.delete(key) : async () => undefined,
      );
    },
    async *list() {
      for (let last = ''; ; ) {
        const rows = await page.all(last);
        for (const row of rows) yield { digest: String(row.digest), size: Number(row.size) };
        if (rows.length === 0) return;
        last = String(rows.at(-1)?.digest);
      }
    },
    async sweep() {
      for (const { id } of await forgotten.all()) await uploads.drop(String(id));
      const before = Date.now() - leftAfter;
      for await (const { key, modified } of objects.list(prefix)) {
        if (modified >= before) continue;
        const named = (await stored.get(key)) ?? (await uploading.get({ key }));
        if (named === undefined) await objects.delete(key);
      }
    },
    uploads,
    check: () => objects.check(),
  };
}

const prefix = 'gantry/';
/** Random first, so that a store which spreads keys by their beginnings spreads these. */
const newKey = (): string => `${prefix}${randomUUID()}`;
