import { createHash, type Hash, randomUUID } from 'node:crypto';
import { addAbortSignal, type Readable } from 'node:stream';
import { GantryError } from '#errors/index.ts';
import { parseDigest } from '#oci/index.ts';
import type { PushTarget } from './access.ts';
import type { BlobStore, UploadWriter } from './blob-store.ts';
import type { Blobs } from './blobs.ts';
import type { Database } from './database.ts';
import { type Quotas, quotaExceeded } from './quotas.ts';
import { namespaceOf } from './repositories.ts';
import { RangeInvalid, tooManyBytes, uploadUnknown } from './upload-errors.ts';

/** A blob on its way in. Its bytes lie in the blob store's upload area, where nobody reads them. */
export interface Upload {
  readonly id: string;
  readonly target: PushTarget;
}

/**
 * Uploads: begun, appended to any number of times, then finished under a digest, or dropped. They outlive a restart of
 * the hub; after a day they are swept. The newest request on an upload wins: an older one that still hangs is ended.
 */
export interface Uploads {
  /** @throws GantryError exhausted (code `too-many-uploads`) */
  begin(target: PushTarget): Promise<Upload>;
  /** @throws GantryError not-found (code `upload-unknown`), also for somebody else's */
  find(target: PushTarget, id: string): Promise<Upload>;
  /** How many bytes are there. @throws not-found */
  offset(upload: Upload): Promise<number>;
  /**
   * Appends a stream, or exactly the bytes `range` (first and last, inclusive) names; the new offset. What arrived of a
   * broken stream stays, of a chunk with a range it does not. @throws RangeInvalid, invalid (`size-invalid`), cancelled,
   * forbidden (`quota-exceeded`)
   */
  append(upload: Upload, source: Readable, range?: { start: number; end: number }): Promise<number>;
  /**
   * Verifies the digest and links the blob; durable when this returns. Before, a power cut may take bytes away: then the
   * digest tells. On a difference nothing is kept.
   * @throws GantryError invalid (code `digest-invalid`), not-found
   */
  finish(upload: Upload, digest: string): Promise<{ digest: string; size: number }>;
  drop(upload: Upload): Promise<void>;
  /** Drops what was begun more than a day ago. */
  sweep(): Promise<void>;
}

const lifetime = 24 * 3600_000;
/** How much of an upload waits in memory for the store. */
const mostWaiting = 512 << 10;
/** Uploads that one account may have open at once. */
const mostOpen = 500;

interface Work {
  /** Of the first `hashed` bytes; made anew where it is behind. */
  hash: Hash;
  hashed: number;
  /** Of the newest request, while it is at work: one that was answered has given its connection back. */
  current: AbortController | undefined;
  done: Promise<unknown>;
}

export function createUploads({
  db,
  store,
  blobs,
  quotas,
}: {
  readonly db: Pick<Database, 'relaxed'>;
  readonly store: Pick<BlobStore, 'uploads'>;
  readonly blobs: Pick<Blobs, 'link'>;
  readonly quotas: Pick<Quotas, 'most'>;
}): Uploads {
  const insert = db.relaxed.prepare('INSERT INTO uploads (id, account, repository, started) VALUES (?, ?, ?, ?)');
  const one = db.relaxed.prepare('SELECT 1 AS here FROM uploads WHERE id = ? AND account = ? AND repository = ?');
  const remove = db.relaxed.prepare('DELETE FROM uploads WHERE id = ?');
  const old = db.relaxed.prepare('SELECT id FROM uploads WHERE started < ?');
  const countOpen = db.relaxed.prepare('SELECT count(*) AS n FROM uploads WHERE account = ?');
  const works = new Map<string, Work>();
  const bytes = store.uploads;

  const find = async (target: PushTarget, id: string): Promise<Upload> => {
    if ((await one.get(id, target.account.id, target.name)) === undefined) throw uploadUnknown(id);
    return { id, target };
  };

  /** One request at a time on an upload; a newer one ends the older. */
  const exclusive = <T>({ id, target }: Upload, body: (work: Work, signal: AbortSignal) => Promise<T>): Promise<T> => {
    let work = works.get(id);
    if (work === undefined) {
      work = { hash: createHash('sha256'), hashed: 0, current: undefined, done: Promise.resolve() };
      works.set(id, work);
    }
    const mine = work;
    mine.current?.abort();
    const controller = new AbortController();
    mine.current = controller;
    const run = mine.done
      .catch(() => {})
      .then(async () => {
        await find(target, id);
        return await body(mine, controller.signal);
      })
      .finally(() => {
        if (mine.current === controller) mine.current = undefined;
      });
    mine.done = run;
    return run;
  };

  const forget = async (id: string): Promise<void> => {
    await bytes.drop(id);
    await remove.run(id);
    works.delete(id);
  };
  /** Brings the running hash to where the upload stands; it stays behind where its bytes cannot be read yet. */
  const catchUp = async (work: Work, id: string, offset: number): Promise<void> => {
    if (work.hashed === offset) return;
    const before = await bytes.read(id, offset);
    if (before === undefined) return;
    work.hash = await hashOf('sha256', before);
    work.hashed = offset;
  };

  return {
    find,
    offset: ({ id }) => bytes.size(id),
    async begin(target) {
      const id = randomUUID();
      // Counted with what it adds, so that many at once are not more than they may be.
      await db.relaxed.transact([`uploads ${target.account.id}`], async () => {
        if (Number((await countOpen.get(target.account.id))?.n) >= mostOpen)
          throw new GantryError(
            'exhausted',
            `${target.account.name} has ${mostOpen} uploads open; finish or drop some`,
            { code: 'too-many-uploads' },
          );
        await insert.run(id, target.account.id, target.name, Date.now());
      });
      await bytes.create(id).catch(async (error: unknown) => {
        await remove.run(id);
        throw error;
      });
      return { id, target };
    },
    append: async (upload, source, range) =>
      exclusive(upload, async (work, signal) => {
        const offset = await bytes.size(upload.id);
        if (range !== undefined && range.start !== offset)
          throw new RangeInvalid(offset, `the chunk begins at byte ${range.start}, the upload stands at ${offset}`);
        await catchUp(work, upload.id, offset);
        const limit = range === undefined ? Number.POSITIVE_INFINITY : range.end - range.start + 1;
        // What is held is counted when the blob is linked: these bytes may be there already, and then cost nothing.
        const mayEnd = Math.max(offset, await quotas.most(upload.target.owner));
        const beyond = mayEnd < offset + limit ? () => quotaExceeded(namespaceOf(upload.target.name)) : tooManyBytes;
        const writer = await bytes.append(upload.id, offset);
        const progress = { offset };
        const close = () =>
          writer.close().catch((error: unknown) => {
            work.hashed = -1; // what the hash has seen is not what the store has
            throw error;
          });
        try {
          try {
            await copyIn(
              addAbortSignal(signal, source),
              writer,
              work,
              progress,
              Math.min(offset + limit, mayEnd),
              beyond,
            );
            if (range !== undefined && progress.offset !== offset + limit)
              throw new GantryError(
                'invalid',
                `the chunk has ${progress.offset - offset} bytes where its range names ${limit}`,
                { code: 'size-invalid' },
              );
          } catch (error) {
            // What arrived of a stream stays, of a chunk it does not.
            if (range !== undefined) work.hashed = -1;
            await (range === undefined ? close() : writer.undo());
            throw error;
          }
          await close();
        } catch (error) {
          if (error instanceof GantryError) throw error;
          if ((error as NodeJS.ErrnoException).code === 'ENOSPC')
            throw new GantryError('exhausted', "the hub's disk is full; tell whoever runs it", { cause: error });
          throw new GantryError('cancelled', 'the upload was cut off; ask where it stands and go on from there', {
            cause: error,
          });
        }
        return progress.offset;
      }),
    finish: async (upload, digest) =>
      exclusive(upload, async (work) => {
        const { algorithm, hex } = parseDigest(digest);
        const size = await bytes.size(upload.id);
        const running = algorithm === 'sha256' && work.hashed === size;
        const whole = await bytes.seal(upload.id);
        const hash = running ? work.hash.copy() : await hashOf(algorithm, whole());
        const actual = hash.digest('hex');
        if (actual !== hex) {
          await forget(upload.id);
          throw new GantryError('invalid', `the bytes are ${algorithm}:${actual}, not ${digest}; nothing was kept`, {
            code: 'digest-invalid',
          });
        }
        const blob = { digest, size };
        await blobs.link(upload.target, blob, () => bytes.adopt(upload.id, blob));
        await forget(upload.id);
        return blob;
      }),
    drop: (upload) => exclusive(upload, () => forget(upload.id)),
    async sweep() {
      for (const { id } of await old.all(Date.now() - lifetime)) await forget(String(id));
    },
  };
}

/** Writes a stream at the end of what is there, up to the offset `end`; what arrived before an error is written too. */
async function copyIn(
  source: Readable,
  writer: UploadWriter,
  work: Work,
  progress: { offset: number },
  end: number,
  beyond: () => GantryError,
): Promise<void> {
  let waiting: Buffer[] = [];
  let size = 0;
  let received = progress.offset;
  let writing: Promise<void> | undefined;
  /** Fulfilled when what waits is taken, so that more may come while the store works at it; rejected as `writing` is. */
  let taken = Promise.withResolvers<void>();

  /** Writes what waits, and hashes it while the store works, until nothing waits. */
  const write = async (): Promise<void> => {
    while (size > 0) {
      const [batch, length] = [waiting, size];
      waiting = [];
      size = 0;
      taken.resolve();
      taken = Promise.withResolvers();
      const written = writer.write(batch, length); // whose the batch is after this turn
      const follows = work.hashed === progress.offset;
      if (follows) for (const chunk of batch) work.hash.update(chunk);
      await written;
      progress.offset += length;
      if (follows) work.hashed = progress.offset;
    }
    writing = undefined;
  };
  const settle = async (): Promise<void> => {
    try {
      await writing;
    } catch (error) {
      work.hashed = -1; // what the hash has seen is not what the store has
      throw error;
    }
  };
  try {
    // The caller answers on the same connection, also when this throws: the source is not destroyed.
    for await (const chunk of source.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      received += chunk.length;
      if (received > end) throw beyond();
      waiting.push(chunk);
      size += chunk.length;
      if (writing === undefined) {
        writing = write();
        // It is awaited at the end, and before then by whoever waits for room.
        writing.catch((error: unknown) => {
          taken.promise.catch(() => undefined);
          taken.reject(error);
        });
      }
      if (size >= mostWaiting) await taken.promise;
    }
  } catch (error) {
    await settle();
    throw error;
  }
  await settle();
}

async function hashOf(algorithm: 'sha256' | 'sha512', source: AsyncIterable<Buffer>): Promise<Hash> {
  const hash = createHash(algorithm);
  for await (const chunk of source) hash.update(chunk);
  return hash;
}
