import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { appendFile, rm, utimes, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { digestOf } from '#oci/index.ts';
import { startRegistry } from './registry-server.ts';
import { publish, sampleLayer, tarOf } from './sample-image.ts';
import { openStore, type Store } from './store.ts';

const base = await sampleLayer({ 'etc/name': 'base', 'bin/sh': 'shell' });
const app = await sampleLayer({ 'app/hello': 'hello' });
const layerOf = (store: Store, chainId: string | undefined) =>
  `${store.root}/${store.driver.name}/layers/${chainId?.slice(7)}/diff`;
const stray = digestOf('stray');
const problemsOf = async (store: Store, options: Parameters<Store['images']['check']>[0] = {}) =>
  (await store.images.check(options)).problems;

for (const driver of ['overlay2', 'vfs'] as const)
  test(`check finds what was done to a store on ${driver}, and repairs what can be`, async () => {
    await using server = await startRegistry();
    await using store = await openStore({ driver });
    const { id, digest, chainIds } = publish(server, 'ana/hello', 'v1', [base, app]);
    const name = `${server.host}/ana/hello:v1`;
    await store.images.pull(name, {});
    const made = await store.images.import(Readable.from([await tarOf({ made: 'here' })]), { reference: 'made' });
    assert.deepEqual(await store.images.check({}), { blobs: 7, layers: 3, images: 2, problems: [] });

    const lower = layerOf(store, chainIds[0]);
    await writeFile(`${lower}/bin/sh`, 'SHELL'); // other bytes
    await utimes(`${lower}/bin/sh`, 0, 0);
    await writeFile(`${layerOf(store, made.chainId)}/more`, '');
    await rm(store.content.path(id)); // a config
    await appendFile(store.content.path(digest), ' ');
    await rm(store.content.path(made.layers[0]?.digest ?? ''));
    await writeFile(`${store.content.root}/index.json`, '{}');
    await store.driver.prepareLayer(stray, undefined).then((writer) => writer.commit());
    const found = (await problemsOf(store)).map(({ kind, subject, problem }) => [kind, subject, problem]);
    assert.deepEqual(
      found.toSorted(),
      [
        [
          'blob',
          digest,
          'the application/vnd.oci.image.manifest.v1+json of an image has other bytes than its digest says',
        ],
        ['blob', id, 'the application/vnd.oci.image.config.v1+json of an image is missing'],
        ['blob', made.layers[0]?.digest, 'a layer of an image is missing'],
        ['index', 'index.json', 'it does not say what the database says'],
        ['layer', chainIds[0], 'it is not what its blob unpacks to: "bin/sh" differs'],
        ['layer', stray, 'nothing has any use for it'],
      ].toSorted(),
    );
    rmSync(`${layerOf(store, made.chainId)}/more`);

    const busy = await problemsOf(store, { repair: true, layerUser: () => 'container 0123' });
    assert.match(busy.find(({ subject }) => subject === chainIds[0])?.problem ?? '', /container 0123 runs on it/);
    const repaired = await problemsOf(store, { repair: true });
    assert.deepEqual(
      repaired.map(({ repaired }) => repaired),
      ['unpacked again'],
    );
    assert.deepEqual(await problemsOf(store), []);
    await using again = await store.reopen();
    assert.deepEqual(await problemsOf(again), []);
  });

test('check: a blob beyond repair goes, and a pull brings it again; a layer comes back from its blob', async () => {
  await using server = await startRegistry();
  await using store = await openStore();
  const { chainIds } = publish(server, 'ana/hello', 'v1', [base, app]);
  const name = `${server.host}/ana/hello:v1`;
  await store.images.pull(name, {});
  writeFileSync(store.content.path(app.digest), Buffer.alloc(app.blob.length));
  await using before = await store.reopen();
  rmSync(layerOf(before, chainIds[0]).replace(/\/diff$/, ''), { recursive: true });
  await using damaged = await before.reopen();
  const problems = await problemsOf(damaged, { repair: true });
  assert.deepEqual(
    problems.map(({ subject, repaired }) => [subject, repaired]),
    [
      [chainIds[0], 'unpacked again'],
      [app.digest, 'removed; pull or load the image again'],
    ],
  );
  assert.deepEqual(
    (await problemsOf(damaged)).map(({ problem }) => problem),
    ['a layer of an image is missing'],
  );
  await damaged.images.pull(name, {});
  assert.deepEqual(await problemsOf(damaged), []);
});

test('check finds an image on erofs that has other bytes, or is none any more, and writes it again', async () => {
  await using server = await startRegistry();
  await using store = await openStore({ driver: 'erofs' });
  const { chainIds } = publish(server, 'ana/hello', 'v1', [base, app]);
  await store.images.pull(`${server.host}/ana/hello:v1`, {});
  assert.deepEqual(await problemsOf(store), []);
  const file = layerOf(store, chainIds[0]).replace(/diff$/, 'layer.erofs');
  const whole = readFileSync(file);
  const changed = Buffer.from(whole);
  changed.write('SHELL', changed.indexOf('shell'));
  for (const [bytes, problem] of [
    [changed, /^it is not what its blob unpacks to: "bin\/sh" differs$/],
    [whole.subarray(0, 5000), /^it cannot be read: /],
  ] as const) {
    writeFileSync(file, bytes);
    const [found, ...more] = await problemsOf(store, { repair: true });
    assert.deepEqual([found?.kind, found?.subject, found?.repaired], ['layer', chainIds[0], 'unpacked again']);
    assert.match(found?.problem ?? '', problem);
    assert.deepEqual([more, await problemsOf(store)], [[], []]);
    assert.ok(readFileSync(file).equals(whole));
  }
});
