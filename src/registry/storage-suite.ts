import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { digestOf, mediaTypes } from '#oci/index.ts';
import { createAccounts } from './accounts.ts';
import type { BlobStore } from './blob-store.ts';
import { createBlobs } from './blobs.ts';
import { createCredentials } from './credentials.ts';
import type { Database } from './database.ts';
import { collectGarbage } from './garbage.ts';
import { checkIntegrity } from './integrity.ts';
import { createInvitations } from './invitations.ts';
import { createKeyedLock } from './keyed-lock.ts';
import { createManifests } from './manifests.ts';
import { createQuotas } from './quotas.ts';
import { createRepositories } from './repositories.ts';
import { createTags } from './tags.ts';
import { createUploads } from './uploads.ts';

/** A fresh, empty storage, that the test itself ends. */
export interface OpenedStorage {
  readonly db: Database;
  readonly store: BlobStore;
  /** Opens the same storage a second time, as another hub has it; undefined where one process at a time has it. */
  readonly again: (() => Promise<{ readonly db: Database; readonly store: BlobStore }>) | undefined;
}

/** The registry's parts, as one hub has them. */
function partsOn({ db, store }: { readonly db: Database; readonly store: BlobStore }) {
  const lock = createKeyedLock();
  const accounts = createAccounts({ db });
  const credentials = createCredentials({ db, accounts });
  const repositories = createRepositories({ db });
  const quotas = createQuotas({ db });
  const blobs = createBlobs({ db, store, repositories, quotas, lock });
  const uploads = createUploads({ db, store, blobs, quotas });
  const manifests = createManifests({ db, store, repositories, quotas, lock });
  return {
    db,
    store,
    accounts,
    credentials,
    repositories,
    quotas,
    blobs,
    uploads,
    manifests,
    tags: createTags({ db }),
  };
}

async function registryOn(storage: { readonly db: Database; readonly store: BlobStore }) {
  const parts = partsOn(storage);
  const account = await parts.accounts.create('ana', 'correct horse');
  const target = { account, owner: account.id, name: 'ana/x', mayOverwrite: true };
  const push = async (bytes: string | Buffer) => {
    const upload = await parts.uploads.begin(target);
    await parts.uploads.append(upload, Readable.from([Buffer.from(bytes)]));
    return await parts.uploads.finish(upload, digestOf(bytes));
  };
  return { ...parts, account, target, push, mine: async () => await parts.repositories.find('ana/x') };
}

/** What every storage of the hub does, a database with a blob store beside it; `open` gives each test one of its own. */
export function storageSuite(name: string, open: (t: TestContext) => Promise<OpenedStorage>): void {
  const of = (title: string, body: (storage: OpenedStorage) => Promise<void>) =>
    test(`${name}: ${title}`, async (t) => await body(await open(t)));

  of('a transaction is all or nothing, and one that fails beside others takes back only its own', async ({ db }) => {
    const insert = db.prepare('INSERT INTO keys (name, value) VALUES (?, ?)');
    const count = db.prepare('SELECT count(*) AS n FROM keys');
    const outcomes = await Promise.allSettled(
      Array.from({ length: 6 }, (_, i) =>
        db.transact([], async () => {
          await insert.run(`a${i}`, Buffer.from([i]));
          assert.equal(Number((await db.prepare('SELECT count(*) AS n FROM keys WHERE name = ?').get(`a${i}`))?.n), 1);
          if (i % 2 === 1) throw new Error('no');
        }),
      ),
    );
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled', 'rejected'],
    );
    assert.equal(Number((await count.get())?.n), 3);
    assert.deepEqual(
      Buffer.from((await db.prepare('SELECT value FROM keys WHERE name = :n').get({ n: 'a4' }))?.value as Uint8Array),
      Buffer.from([4]),
    );
    assert.equal(await db.prepare('DELETE FROM keys').run(), 3);
  });

  of('transactions that contend see one another whole', async (storage) => {
    const { accounts, quotas, target, ...registry } = await registryOn(storage);
    const invitations = createInvitations(storage);
    const code = await invitations.create(undefined, { role: 'reader', uses: 3, expires: Date.now() + 60_000 });
    const taken = await Promise.allSettled(Array.from({ length: 8 }, () => invitations.accept(code, target.account)));
    assert.equal(taken.filter(({ status }) => status === 'fulfilled').length, 3);
    const made = await Promise.allSettled(Array.from({ length: 5 }, () => accounts.createOrg('same')));
    assert.equal(made.filter(({ status }) => status === 'fulfilled').length, 1);
    await accounts.update(target.account.id, { quotaBytes: 3500 });
    const pushed = await Promise.allSettled(Array.from({ length: 6 }, () => registry.push(randomBytes(1000))));
    assert.equal(pushed.filter(({ status }) => status === 'fulfilled').length, 3);
    assert.equal((await quotas.usage(target.account.id)).bytes, 3000);
  });

  of('tags are listed byte by byte, in pages', async (storage) => {
    const { manifests, tags, target, mine } = await registryOn(storage);
    const names = ['a', 'B', '_', 'a-b', 'a.b', 'ab', '9', 'Z', 'z'];
    const bytes = Buffer.from('{"schemaVersion":2,"manifests":[]}');
    for (const name of names) await manifests.put(target, name, mediaTypes.ociIndex, bytes);
    const repository = (await mine()) ?? assert.fail();
    const sorted = [...names].sort();
    assert.deepEqual(await tags.names(repository, { last: '', limit: 100 }), sorted);
    assert.deepEqual(await tags.names(repository, { last: sorted[3] ?? '', limit: 2 }), sorted.slice(4, 6));
  });

  of('collectGarbage keeps what a manifest or a fresh push holds, and frees the rest', async (storage) => {
    const registry = await registryOn(storage);
    const { store, manifests, target } = registry;
    const config = await registry.push('{}');
    const layer = await registry.push('layer');
    const stray = await registry.push('stray');
    const document = {
      schemaVersion: 2,
      config: { mediaType: mediaTypes.ociConfig, ...config },
      layers: [
        { mediaType: mediaTypes.ociLayer, ...layer },
        { mediaType: mediaTypes.ociLayer, ...layer },
      ],
    };
    const bytes = Buffer.from(JSON.stringify(document));
    const { digest } = await manifests.put(target, 'v1', mediaTypes.ociManifest, bytes);
    const repository = (await registry.mine()) ?? assert.fail();
    const [tag] = await registry.tags.newest(repository, 10);
    assert.equal(tag?.imageSize, bytes.length + config.size + layer.size);

    assert.deepEqual(await collectGarbage(registry), { blobs: 0, bytes: 0 });
    assert.deepEqual(await collectGarbage(registry, { grace: -1 }), { blobs: 1, bytes: stray.size });
    assert.equal(await store.stat(stray.digest), undefined);
    assert.notEqual(await store.stat(layer.digest), undefined);
    const report = await checkIntegrity(registry);
    assert.deepEqual(report, { blobs: 3, bytes: bytes.length + config.size + layer.size, problems: [] });

    await manifests.delete(repository, digest);
    const freed = await collectGarbage(registry, { grace: -1 });
    assert.deepEqual(freed, { blobs: 3, bytes: bytes.length + config.size + layer.size });
  });

  of('collectGarbage beside pushes of the same bytes never leaves a link without them', async (storage) => {
    const registry = await registryOn(storage);
    const other = storage.again === undefined ? registry : partsOn(await storage.again());
    for (let round = 0; round < 20; round++) {
      const [blob] = await Promise.all([
        registry.push('contended'),
        collectGarbage(other, { grace: -1 }),
        collectGarbage(registry, { grace: -1 }),
      ]);
      const repository = (await registry.mine()) ?? assert.fail();
      const linked = await registry.blobs.stat(repository, blob.digest).catch(() => undefined);
      if (linked !== undefined) assert.equal((await registry.store.read(blob.digest)).toString(), 'contended');
    }
    assert.deepEqual((await checkIntegrity(registry)).problems, []);
  });

  of('the newest request on an upload wins, and the older one ends', async (storage) => {
    const { uploads, target } = await registryOn(storage);
    const upload = await uploads.begin(target);
    const hanging = new Readable({ read() {} });
    hanging.push('abc');
    const older = assert.rejects(uploads.append(upload, hanging), { kind: 'cancelled' });
    while (hanging.readableLength > 0) await setImmediate();
    const newer = uploads.append(upload, Readable.from([Buffer.from('def')]));
    await older;
    assert.equal(await newer, 6);
    assert.equal((await uploads.finish(upload, digestOf('abcdef'))).size, 6);
  });

  of('a chunk that was refused keeps its connection, whatever is asked of the upload next', async (storage) => {
    const { uploads, target } = await registryOn(storage);
    const upload = await uploads.begin(target);
    const refused = new Readable({ read() {} });
    refused.push('abc');
    await assert.rejects(uploads.append(upload, refused, { start: 0, end: 1 }), { code: 'size-invalid' });
    assert.equal(await uploads.append(upload, Readable.from([Buffer.from('ab')]), { start: 0, end: 1 }), 2);
    assert.equal(refused.destroyed, false);
  });

  of('an upload in pieces of any size is what was sent; a chunk that fails leaves nothing', async (storage) => {
    const registry = await registryOn(storage);
    const { uploads, target, store } = registry;
    const sizes = [3_000_000, 9_000_000, 1, 17_000_000];
    const whole = randomBytes(sizes.reduce((sum, size) => sum + size, 0));
    const upload = await uploads.begin(target);
    let offset = 0;
    for (const size of sizes) {
      const cut = { start: offset, end: offset + size };
      await assert.rejects(uploads.append(upload, Readable.from([whole.subarray(offset, offset + size)]), cut), {
        code: 'size-invalid',
      });
      assert.equal(await uploads.offset(upload), offset);
      // Every other part is sent by a hub that knows nothing of what came before.
      const hub = offset % 2 === 0 ? uploads : partsOn((await storage.again?.()) ?? storage).uploads;
      const piece = whole.subarray(offset, offset + size);
      const chunks = Array.from({ length: Math.ceil(size / 60_000) }, (_, i) =>
        piece.subarray(i * 60_000, (i + 1) * 60_000),
      );
      offset = await hub.append(upload, Readable.from(chunks), { start: offset, end: offset + size - 1 });
    }
    const digest = digestOf(whole);
    assert.deepEqual(await uploads.finish(upload, digest), { digest, size: whole.length });
    const got = Buffer.concat((await (await store.open(digest)).toArray()) as Buffer[]);
    assert.ok(got.equals(whole));
    await assert.rejects(uploads.offset(upload), { code: 'upload-unknown' });
    const wrong = await uploads.begin(target);
    await uploads.append(wrong, Readable.from([Buffer.from('x')]));
    await assert.rejects(uploads.finish(wrong, digestOf('y')), { code: 'digest-invalid' });
    await assert.rejects(uploads.offset(wrong), { code: 'upload-unknown' });
    assert.equal((await registry.push('')).size, 0);
    assert.deepEqual((await checkIntegrity(registry)).problems, []);
  });

  of('what one tells, all that listen hear', async (storage) => {
    const second = (await storage.again?.())?.db ?? storage.db;
    const heard: string[] = [];
    const both = Promise.withResolvers<void>();
    const hear = (who: string) => (text: string) => {
      heard.push(`${who} ${text}`);
      if (heard.length === 2) both.resolve();
    };
    const stops = [await storage.db.listen('board', hear('one')), await second.listen('board', hear('two'))];
    await storage.db.notify('board', '5 7');
    await both.promise;
    assert.deepEqual(heard.sort(), ['one 5 7', 'two 5 7']);
    for (const stop of stops) stop();
  });

  of('one process at a time collects', async (storage) => {
    const held = (await storage.db.hold('collecting')) ?? assert.fail();
    const second = (await storage.again?.())?.db ?? storage.db;
    assert.equal(await second.hold('collecting'), undefined);
    await held[Symbol.asyncDispose]();
    await (await second.hold('collecting'))?.[Symbol.asyncDispose]();
  });
}
