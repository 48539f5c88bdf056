import type { Readable } from 'node:stream';
import { GantryError, isGantryError } from '#errors/index.ts';
import type { UploadStore, UploadWriter } from './blob-store.ts';
import type { Database } from './database.ts';
import { createObjectWriter, type Multipart } from './s3-object-writer.ts';
import type { S3Objects } from './s3-objects.ts';
import { uploadUnknown } from './upload-errors.ts';

/**
 * An upload's state in the database, so that any hub goes on with it: parts of an object that is not complete, and a
 * *tail*, an object of its own with what is less than a part. Both become one object when it is sealed.
 */
interface Upload {
  readonly size: number;
  /** Of the object that it becomes. */
  readonly key: string;
  /** The id of the object's parts; undefined where there are none. */
  readonly multipart: string | undefined;
  readonly tail: string | undefined;
  readonly sealed: boolean;
}

export function createS3Uploads({
  db,
  objects,
  newKey,
}: {
  readonly db: Database;
  readonly objects: S3Objects;
  readonly newKey: () => string;
}): UploadStore {
  const insert = db.prepare('INSERT INTO s3_uploads (id, size, key, sealed) VALUES (?, 0, ?, 0)');
  const one = db.prepare('SELECT * FROM s3_uploads WHERE id = ?');
  const partsOf = db.prepare('SELECT number, etag, size FROM s3_parts WHERE upload = ? ORDER BY number');
  const advance = db.prepare(
    `UPDATE s3_uploads SET size = :size, multipart = :multipart, tail = :tail
       WHERE id = :id AND size = :before AND sealed = 0`,
  );
  const putPart = db.prepare(
    `INSERT INTO s3_parts (upload, number, etag, size) VALUES (?, ?, ?, ?)
       ON CONFLICT (upload, number) DO UPDATE SET etag = excluded.etag, size = excluded.size`,
  );
  const setSealed = db.prepare('UPDATE s3_uploads SET sealed = 1, key = ?, tail = NULL WHERE id = ?');
  const remove = db.prepare('DELETE FROM s3_uploads WHERE id = ?');
  const makeBlob = db.prepare(
    'INSERT INTO s3_objects (digest, key, size) VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING',
  );
  const stored = db.prepare('SELECT 1 AS here FROM s3_objects WHERE key = ?');

  const mustFind = async (id: string): Promise<Upload> => {
    const row = await one.get(id);
    if (row === undefined) throw uploadUnknown(id);
    const text = (value: unknown) => (value === null ? undefined : String(value));
    return {
      size: Number(row.size),
      key: String(row.key),
      multipart: text(row.multipart),
      tail: text(row.tail),
      sealed: Number(row.sealed) === 1,
    };
  };
  const multipartOf = async (id: string, { multipart }: Upload): Promise<Multipart | undefined> =>
    multipart === undefined
      ? undefined
      : {
          upload: multipart,
          parts: (await partsOf.all(id)).map((row) => ({
            number: Number(row.number),
            etag: String(row.etag),
            size: Number(row.size),
          })),
        };
  const wholeOf = async (key: string): Promise<Buffer> =>
    Buffer.concat((await (await objects.get(key)).toArray()) as Buffer[]);
  const overtaken = () =>
    new GantryError('cancelled', 'another request went on with the upload meanwhile; ask where it stands');
  const readerOf = (key: string) =>
    async function* (): AsyncIterable<Buffer> {
      const source: Readable = await objects.get(key);
      yield* source as AsyncIterable<Buffer>;
    };

  const append = async (id: string, offset: number): Promise<UploadWriter> => {
    const upload = await mustFind(id);
    if (upload.size !== offset || upload.sealed) throw overtaken();
    const multipart = await multipartOf(id, upload);
    const rest = upload.tail === undefined ? Buffer.alloc(0) : await wholeOf(upload.tail);
    const known = multipart?.parts.length ?? 0;
    const writer = createObjectWriter(objects, upload.key, { multipart, rest });
    let size = offset;
    return {
      async write(batch, length) {
        for (const chunk of batch) await writer.write(chunk);
        size += length;
      },
      async close() {
        const now = await writer.rest();
        const tail = now.rest.length === 0 ? undefined : newKey();
        if (tail !== undefined) await objects.put(tail, now.rest);
        await db.transact([`upload ${id}`], async () => {
          const at = { id, before: offset, size, multipart: now.multipart?.upload ?? null, tail: tail ?? null };
          if ((await advance.run(at)) === 0) throw overtaken();
          for (const { number, etag, size: length } of now.multipart?.parts.slice(known) ?? [])
            await putPart.run(id, number, etag, length);
        });
        if (upload.tail !== undefined) await objects.delete(upload.tail);
      },
      async undo() {
        // The next attempt sends parts of the same numbers; parts that nobody names are gone when the object is complete.
        const { multipart: now } = await writer.rest();
        if (now !== undefined && upload.multipart === undefined) await objects.abort(upload.key, now.upload);
      },
    };
  };

  /** Parts and tail become one object. What a crash left half done is found done. */
  const complete = async (id: string, upload: Upload): Promise<string> => {
    const multipart = await multipartOf(id, upload);
    if (multipart === undefined && upload.tail !== undefined) return upload.tail;
    const rest = upload.tail === undefined ? Buffer.alloc(0) : await wholeOf(upload.tail);
    try {
      return await createObjectWriter(objects, upload.key, { multipart, rest }).finish();
    } catch (error) {
      if (!isGantryError(error, 'not-found') || (await objects.size(upload.key)) !== upload.size) throw error;
      return upload.key;
    }
  };

  return {
    create: async (id) => void (await insert.run(id, newKey())),
    size: async (id) => (await mustFind(id)).size,
    append,
    async read(id, size) {
      const { tail, multipart, sealed, key } = await mustFind(id);
      if (size === 0) return nothing();
      if (sealed) return readerOf(key)();
      return multipart === undefined && tail !== undefined ? readerOf(tail)() : undefined;
    },
    async seal(id) {
      const upload = await mustFind(id);
      if (upload.sealed) return readerOf(upload.key);
      const key = await complete(id, upload);
      await setSealed.run(key, id);
      if (upload.tail !== undefined && upload.tail !== key) await objects.delete(upload.tail);
      return readerOf(key);
    },
    async adopt(id, { digest, size }) {
      await db.transact([digest], async () => {
        const { key } = await mustFind(id);
        await makeBlob.run(digest, key, size);
      });
    },
    async drop(id) {
      const row = await one.get(id);
      if (row === undefined) return;
      const { key, multipart, tail, sealed } = await mustFind(id);
      const isBlob = await db.transact([key], async () => {
        await remove.run(id);
        return (await stored.get(key)) !== undefined;
      });
      if (tail !== undefined) await objects.delete(tail);
      if (multipart !== undefined && !sealed) await objects.abort(key, multipart);
      if (sealed && !isBlob) await objects.delete(key);
    },
  };
}

async function* nothing(): AsyncIterable<Buffer> {}
