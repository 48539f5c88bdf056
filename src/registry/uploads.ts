import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm, stat, writeFile } from 'node:fs/promises';
import type { DatabaseSync } from 'node:sqlite';
import { addAbortSignal, type Readable } from 'node:stream';
import type { ContentStore } from '#content/index.ts';
import { GantryError } from '#errors/index.ts';
import { parseDigest } from '#oci/index.ts';
import type { PushTarget } from './access.ts';
import type { Blobs } from './blobs.ts';
import { type Quotas, quotaExceeded } from './quotas.ts';
import { namespaceOf } from './repositories.ts';

/** A blob on its way in. Its bytes lie in the content store's staging directory, where nobody reads them. */
export interface Upload {
  readonly id: string;
  readonly target: PushTarget;
}

/** A chunk that does not begin where the upload stands. */
export class RangeInvalid extends GantryError {
  readonly offset: number;
  constructor(offset: number, message: string) {
    super('invalid', message, { code: 'range-invalid' });
    this.offset = offset;
  }
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
/** How much of an upload waits in memory for the disk, and after how much of it the disk is asked to keep it. */
const mostWaiting = 512 << 10;
const syncAt = 8 << 20;
/** Uploads that one account may have open at once. */
const mostOpen = 500;

interface Work {
  /** Of the first `hashed` bytes; made anew from the file where it is behind. */
  hash: Hash;
  hashed: number;
  current: AbortController;
  done: Promise<unknown>;
}

export function createUploads({
  db,
  content,
  blobs,
  quotas,
}: {
  readonly db: DatabaseSync;
  readonly content: Pick<ContentStore, 'staging' | 'adopt'>;
  readonly blobs: Pick<Blobs, 'link'>;
  readonly quotas: Pick<Quotas, 'most'>;
}): Uploads {
  const insert = db.prepare('INSERT INTO uploads (id, account, repository, started) VALUES (?, ?, ?, ?)');
  const one = db.prepare('SELECT 1 FROM uploads WHERE id = ? AND account = ? AND repository = ?');
  const remove = db.prepare('DELETE FROM uploads WHERE id = ?');
  const old = db.prepare('SELECT id FROM uploads WHERE started < ?');
  const countOpen = db.prepare('SELECT count(*) AS n FROM uploads WHERE account = ?');
  const works = new Map<string, Work>();
  const fileOf = (id: string) => `${content.staging}/upload-${id}`;
  const unknown = (id: string) =>
    new GantryError('not-found', `there is no upload ${id} here; it was finished, dropped or is too old`, {
      code: 'upload-unknown',
    });

  const sizeOf = async (id: string): Promise<number> => {
    try {
      return (await stat(fileOf(id))).size;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw unknown(id);
      throw error;
    }
  };

  const find = async (target: PushTarget, id: string): Promise<Upload> => {
    if (one.get(id, target.account.id, target.name) === undefined) throw unknown(id);
    await sizeOf(id);
    return { id, target };
  };

  /** One request at a time on an upload; a newer one ends the older. */
  const exclusive = <T>({ id, target }: Upload, body: (work: Work, signal: AbortSignal) => Promise<T>): Promise<T> => {
    let work = works.get(id);
    if (work === undefined) {
      work = { hash: createHash('sha256'), hashed: 0, current: new AbortController(), done: Promise.resolve() };
      works.set(id, work);
    }
    const mine = work;
    mine.current.abort();
    const controller = new AbortController();
    mine.current = controller;
    const run = mine.done
      .catch(() => {})
      .then(async () => {
        await find(target, id);
        return await body(mine, controller.signal);
      });
    mine.done = run;
    return run;
  };

  const forget = async (id: string): Promise<void> => {
    remove.run(id);
    works.delete(id);
    await rm(fileOf(id), { force: true });
  };

  return {
    find,
    offset: ({ id }) => sizeOf(id),
    async begin(target) {
      if (Number(countOpen.get(target.account.id)?.n) >= mostOpen)
        throw new GantryError('exhausted', `${target.account.name} has ${mostOpen} uploads open; finish or drop some`, {
          code: 'too-many-uploads',
        });
      const id = randomUUID();
      // Counted before anything is waited for, so that many at once are not more than they may be.
      insert.run(id, target.account.id, target.name, Date.now());
      await writeFile(fileOf(id), '', { flag: 'wx', mode: 0o600 }).catch((error: unknown) => {
        remove.run(id);
        throw error;
      });
      return { id, target };
    },
    append: (upload, source, range) =>
      exclusive(upload, async (work, signal) => {
        const offset = await sizeOf(upload.id);
        if (range !== undefined && range.start !== offset)
          throw new RangeInvalid(offset, `the chunk begins at byte ${range.start}, the upload stands at ${offset}`);
        await using file = await open(fileOf(upload.id), 'r+');
        const limit = range === undefined ? Number.POSITIVE_INFINITY : range.end - range.start + 1;
        if (work.hashed !== offset) {
          work.hash = await hashFile('sha256', fileOf(upload.id), offset);
          work.hashed = offset;
        }
        try {
          // What is held is counted when the blob is linked: these bytes may be there already, and then cost nothing.
          const mayEnd = Math.max(offset, quotas.most(upload.target.owner));
          const beyond = mayEnd < offset + limit ? () => quotaExceeded(namespaceOf(upload.target.name)) : tooManyBytes;
          await copyIn(addAbortSignal(signal, source), file, work, Math.min(offset + limit, mayEnd), beyond);
          if (range !== undefined && work.hashed !== offset + limit)
            throw new GantryError(
              'invalid',
              `the chunk has ${work.hashed - offset} bytes where its range names ${limit}`,
              { code: 'size-invalid' },
            );
        } catch (error) {
          if (range !== undefined) {
            await file.truncate(offset);
            work.hashed = -1;
          }
          if (error instanceof GantryError) throw error;
          if ((error as NodeJS.ErrnoException).code === 'ENOSPC')
            throw new GantryError('exhausted', "the hub's disk is full; tell whoever runs it", { cause: error });
          throw new GantryError('cancelled', 'the upload was cut off; ask where it stands and go on from there', {
            cause: error,
          });
        }
        return work.hashed;
      }),
    finish: (upload, digest) =>
      exclusive(upload, async (work) => {
        const file = fileOf(upload.id);
        const { algorithm, hex } = parseDigest(digest);
        const size = await sizeOf(upload.id);
        const running = algorithm === 'sha256' && work.hashed === size;
        const hash = running ? work.hash.copy() : await hashFile(algorithm, file, size);
        const actual = hash.digest('hex');
        if (actual !== hex) {
          await forget(upload.id);
          throw new GantryError('invalid', `the bytes are ${algorithm}:${actual}, not ${digest}; nothing was kept`, {
            code: 'digest-invalid',
          });
        }
        const blob = { digest, size };
        await blobs.link(upload.target, blob, () => content.adopt(file, blob));
        remove.run(upload.id);
        works.delete(upload.id);
        return blob;
      }),
    drop: (upload) => exclusive(upload, () => forget(upload.id)),
    async sweep() {
      for (const { id } of old.all(Date.now() - lifetime)) await forget(String(id));
    },
  };
}

const tooManyBytes = () =>
  new GantryError('invalid', 'the chunk has more bytes than its range names', { code: 'size-invalid' });

/** Writes a stream at the end of what is hashed, up to the offset `end`; what arrived before an error is written too. */
async function copyIn(
  source: Readable,
  file: FileHandle,
  work: Work,
  end: number,
  beyond: () => GantryError,
): Promise<void> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  let received = work.hashed;
  let unsynced = 0;
  let syncing: Promise<unknown> | undefined;
  let writing: Promise<void> | undefined;

  /** Writes what waits, and hashes it while the disk works, until nothing waits. */
  const write = async (): Promise<void> => {
    while (bytes > 0) {
      const [batch, size] = [waiting, bytes];
      waiting = [];
      bytes = 0;
      const written = file.writev(batch, work.hashed);
      for (const chunk of batch) work.hash.update(chunk);
      const { bytesWritten } = await written;
      if (bytesWritten !== size) throw new GantryError('exhausted', "the hub's disk took only a part of the upload");
      work.hashed += size;
      unsynced += size;
      // The disk works while the rest still comes, so that the end has little left to wait for.
      if (unsynced < syncAt || syncing !== undefined) continue;
      unsynced = 0;
      syncing = file
        .datasync()
        .catch(() => undefined)
        .finally(() => {
          syncing = undefined;
        });
    }
    writing = undefined;
  };
  const settle = async (): Promise<void> => {
    try {
      await writing;
    } catch (error) {
      work.hashed = -1; // what the hash has seen is not what the disk has
      throw error;
    } finally {
      await syncing;
    }
  };
  try {
    // The caller answers on the same connection, also when this throws: the source is not destroyed.
    for await (const chunk of source.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      received += chunk.length;
      if (received > end) throw beyond();
      waiting.push(chunk);
      bytes += chunk.length;
      if (writing === undefined) {
        writing = write();
        writing.catch(() => undefined); // it is awaited before the next of it waits too long, and at the end
      }
      if (bytes >= mostWaiting) await writing;
    }
  } catch (error) {
    await settle();
    throw error;
  }
  await settle();
}

async function hashFile(algorithm: 'sha256' | 'sha512', file: string, size: number): Promise<Hash> {
  const hash = createHash(algorithm);
  if (size === 0) return hash;
  for await (const chunk of createReadStream(file, { end: size - 1, highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash;
}
