import { mkdirSync } from 'node:fs';
import { type ContentStore, createContentStore } from '#content/index.ts';
import { GantryError, messageOf } from '#errors/index.ts';
import { holdFile } from '#linux/index.ts';
import {
  type BlobStore,
  createFileBlobStore,
  createS3BlobStore,
  createS3Objects,
  type Database,
  openPostgresDatabase,
  openSqliteDatabase,
} from '#registry/index.ts';
import type { StorageOptions } from './storage-options.ts';

/** Where a hub keeps everything: on this machine, or in a database and a bucket that any number of hubs share. */
export interface Storage extends AsyncDisposable {
  readonly db: Database;
  readonly store: BlobStore;
  /** For messages. */
  readonly place: string;
  /** Of storage on this machine: its database's file and its blobs. */
  readonly files: { readonly database: string; readonly content: ContentStore } | undefined;
}

/** Opens it, making what is missing. @throws GantryError unavailable */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  if (options.kind === 'files') return await openFiles(options.dataRoot);
  const { database, redirect, ...bucket } = options;
  const db = await openPostgresDatabase(database);
  const store = createS3BlobStore({ db, objects: createS3Objects(bucket) }, { redirect });
  try {
    await store.check();
  } catch (error) {
    await db[Symbol.asyncDispose]();
    throw error;
  }
  const place = `${URL.parse(database)?.host ?? 'PostgreSQL'} and ${bucket.endpoint}/${bucket.bucket}`;
  return { db, store, place, files: undefined, [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() };
}

async function openFiles(dataRoot: string): Promise<Storage> {
  try {
    mkdirSync(dataRoot, { recursive: true, mode: 0o700 });
    const database = `${dataRoot}/hub.db`;
    const db = await openSqliteDatabase(database);
    const content = await createContentStore({ root: `${dataRoot}/content` });
    return {
      db,
      store: createFileBlobStore(content),
      place: `data root ${dataRoot}`,
      files: { database, content },
      [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
    };
  } catch (error) {
    if (error instanceof GantryError) throw error;
    throw new GantryError('unavailable', `the data root ${dataRoot} cannot be used: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Holds a data root for one serving hub; the kernel lets go of it when the process ends, however that is. */
export function holdServing(options: StorageOptions): Disposable {
  if (options.kind !== 'files') return { [Symbol.dispose]: () => undefined };
  const held = holdFile(`${options.dataRoot}/serving.lock`);
  if (held === undefined)
    throw new GantryError(
      'conflict',
      `another hub serves ${options.dataRoot}; stop it, or give --data-root another directory`,
    );
  return held;
}

/** Holds the right to take bytes away, which a backup must not be disturbed by. @throws GantryError conflict */
export async function holdCollecting({ db, place }: Storage): Promise<AsyncDisposable> {
  const held = await db.hold('collecting');
  if (held === undefined)
    throw new GantryError('conflict', `garbage of ${place} is collected, or a backup made; try again afterwards`);
  return held;
}
