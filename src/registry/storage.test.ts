import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createContentStore } from '#content/index.ts';
import { digestOf, mediaTypes } from '#oci/index.ts';
import { createAccounts } from './accounts.ts';
import { createBlobs } from './blobs.ts';
import { createCredentials } from './credentials.ts';
import { openRegistryDatabase } from './database.ts';
import { collectGarbage } from './garbage.ts';
import { createKeyedLock } from './keyed-lock.ts';
import { createManifests } from './manifests.ts';
import { createQuotas } from './quotas.ts';
import { createRepositories } from './repositories.ts';
import { createTags } from './tags.ts';
import { createUploads } from './uploads.ts';

/** The registry's parts on a directory of their own. */
async function registryOn(root: string) {
  const db = openRegistryDatabase(`${root}/hub.db`);
  const content = await createContentStore({ root: `${root}/content` });
  const lock = createKeyedLock();
  const accounts = createAccounts({ db });
  const credentials = createCredentials({ db, accounts });
  const repositories = createRepositories({ db });
  const quotas = createQuotas({ db });
  const blobs = createBlobs({ db, content, repositories, quotas, lock });
  const uploads = createUploads({ db, content, blobs, quotas });
  const manifests = createManifests({ db, content, repositories, quotas, lock });
  const account = await accounts.create('ana', 'correct horse');
  const target = { account, owner: account.id, name: 'ana/x', mayOverwrite: true };
  const push = async (text: string) => {
    const upload = await uploads.begin(target);
    await uploads.append(upload, Readable.from([Buffer.from(text)]));
    return await uploads.finish(upload, digestOf(text));
  };
  return { db, content, lock, accounts, credentials, repositories, blobs, uploads, manifests, target, push };
}

test('collectGarbage keeps what a manifest or a fresh push holds, and frees the rest', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'gantry-garbage-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const registry = await registryOn(root);
  using db = registry.db;
  const { content, manifests, target } = registry;
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
  const repository = registry.repositories.find('ana/x') ?? assert.fail();
  const [tag] = createTags({ db }).newest(repository, 10);
  assert.equal(tag?.imageSize, bytes.length + config.size + layer.size);

  assert.deepEqual(await collectGarbage(registry), { blobs: 0, bytes: 0 });
  assert.deepEqual(await collectGarbage(registry, { grace: -1 }), { blobs: 1, bytes: stray.size });
  assert.equal(await content.stat(stray.digest), undefined);
  assert.notEqual(await content.stat(layer.digest), undefined);

  manifests.delete(repository, digest);
  const freed = await collectGarbage(registry, { grace: -1 });
  assert.deepEqual(freed, { blobs: 3, bytes: bytes.length + config.size + layer.size });
});

test('collectGarbage beside pushes of the same bytes never leaves a link without them', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'gantry-garbage-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const registry = await registryOn(root);
  using _db = registry.db;
  for (let round = 0; round < 20; round++) {
    const [blob] = await Promise.all([registry.push('contended'), collectGarbage(registry, { grace: -1 })]);
    const repository = registry.repositories.find('ana/x') ?? assert.fail();
    const linked = (() => {
      try {
        return registry.blobs.stat(repository, blob.digest).size === blob.size;
      } catch {
        return false;
      }
    })();
    if (linked) assert.notEqual(await registry.content.stat(blob.digest), undefined);
  }
});

test('createUploads: the newest request on an upload wins, and the older one ends', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'gantry-uploads-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const { db, uploads, target } = await registryOn(root);
  using _db = db;
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
