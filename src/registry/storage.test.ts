import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createContentStore } from '#content/index.ts';
import { createFileBlobStore } from './file-blob-store.ts';
import { openSqliteDatabase } from './sqlite-database.ts';
import { storageSuite } from './storage-suite.ts';

storageSuite('files and SQLite', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'gantry-storage-'));
  const db = await openSqliteDatabase(`${root}/hub.db`);
  t.after(async () => {
    await db[Symbol.asyncDispose]();
    rmSync(root, { recursive: true, force: true });
  });
  return { db, store: createFileBlobStore(await createContentStore({ root: `${root}/content` })), again: undefined };
});
