import { after } from 'node:test';
import { conformanceSuite } from '../hub/conformance-suite.ts';
import { hubUnderTest } from '../hub/hub-under-test.ts';
import { hubStorageOf, type SharedStorage, startSharedStorage } from './shared-storage.ts';

let shared: Promise<SharedStorage> | undefined;
after(async () => await (await shared)?.[Symbol.asyncDispose]());

// The same rules as on files and SQLite.
conformanceSuite(async (more) => {
  shared ??= startSharedStorage();
  const storage = await shared;
  return await hubUnderTest(more, hubStorageOf(storage, await storage.fresh()));
});
