import { after, before } from 'node:test';
import { createS3BlobStore, createS3Objects, openPostgresDatabase } from '../../src/registry/index.ts';
import { storageSuite } from '../../src/registry/storage-suite.ts';
import { type SharedStorage, startSharedStorage } from './shared-storage.ts';

let shared: SharedStorage;
before(async () => {
  shared = await startSharedStorage();
});
after(async () => await shared[Symbol.asyncDispose]());

storageSuite('PostgreSQL and S3', async (t) => {
  const { database, bucket } = await shared.fresh();
  const objects = createS3Objects({
    endpoint: shared.endpoint,
    bucket,
    region: 'us-east-1',
    accessKeyId: shared.keys.AWS_ACCESS_KEY_ID ?? '',
    secretAccessKey: shared.keys.AWS_SECRET_ACCESS_KEY ?? '',
  });
  const open = async () => {
    const db = await openPostgresDatabase(database);
    t.after(async () => await db[Symbol.asyncDispose]());
    return { db, store: createS3BlobStore({ db, objects }, { redirect: true }) };
  };
  return { ...(await open()), again: open };
});
