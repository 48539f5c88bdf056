import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { chainIdOf, digestOf } from '#oci/index.ts';
import { packEntries, readTar, type TarSource } from '#tar/index.ts';
import { startRegistry } from './registry-server.ts';
import { publish, sampleLayer, tarOf } from './sample-image.ts';
import { openStore } from './store.ts';

const base = await sampleLayer({ 'etc/name': 'base' });
const app = await sampleLayer({ 'app/hello': 'hello' });
const stream = (...bytes: Uint8Array[]) => Readable.from(bytes);
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const file = (name: string, body: Uint8Array): TarSource => ({ header: { name, type: 'file' }, body });
const link = (name: string, linkName: string, type: 'symlink' | 'hardlink'): TarSource => ({
  header: { name, type, linkName },
});
const archive = async (entries: readonly TarSource[]) => Buffer.concat(await Array.fromAsync(packEntries(entries)));
const config = (...layers: { diffId: string }[]) =>
  json({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: layers.map((l) => l.diffId) } });

test('save | load carries an image with its names and its digest; two saves are equal', async () => {
  await using server = await startRegistry();
  await using store = await openStore();
  const published = publish(server, 'ana/hello', 'v1', [base, app]);
  const name = `${server.host}/ana/hello:v1`;
  await store.images.pull(name, {});
  await store.images.tag(name, 'hello');
  const saved = Buffer.concat(await (await store.images.save([name, 'hello'])).toArray());
  assert.deepEqual(Buffer.concat(await (await store.images.save([name, 'hello'])).toArray()), saved);
  for (const bytes of [saved, gzipSync(saved)]) {
    await using other = await openStore();
    assert.deepEqual((await other.images.load(stream(bytes))).toSorted(), [name, 'hello:latest'].toSorted());
    const loaded = await other.images.get('hello');
    assert.equal(loaded.id, published.id);
    assert.equal(loaded.manifest.digest, published.digest);
    assert.deepEqual(await other.layers(), published.chainIds.toSorted());
    assert.deepEqual(other.staged(), []);
  }
  const entries = new Map<string, Buffer>();
  for await (const entry of readTar(stream(saved))) entries.set(entry.name, await entry.bytes(1 << 20));
  const [docker] = JSON.parse(String(entries.get('manifest.json'))) as { Config: string; Layers: string[] }[];
  assert.equal(digestOf(entries.get(docker?.Config ?? '') ?? ''), published.id);
  assert.deepEqual(
    docker?.Layers.map((l) => gunzipSync(entries.get(l) ?? '')),
    [base.tar, app.tar],
  );
});

test('load takes an old docker save, whose equal layers are links, and keeps the image id', async () => {
  await using store = await openStore();
  const bytes = config(base, app, base);
  const old = await archive([
    file('111/layer.tar', base.tar),
    file('222/layer.tar', app.tar),
    link('333/layer.tar', '../111/layer.tar', 'symlink'),
    link('444/layer.tar', '222/layer.tar', 'hardlink'),
    file(`${digestOf(bytes).slice(7)}.json`, bytes),
    file(
      'manifest.json',
      json([
        {
          Config: `${digestOf(bytes).slice(7)}.json`,
          RepoTags: ['old:v1'],
          Layers: ['111/layer.tar', '444/layer.tar', '333/layer.tar'],
        },
      ]),
    ),
  ]);
  assert.deepEqual(await store.images.load(stream(old)), ['old:v1']);
  const image = await store.images.get('old:v1');
  assert.equal(image.id, digestOf(bytes));
  assert.equal(image.layers[0]?.digest, image.layers[2]?.digest);
  assert.equal(image.chainId, chainIdOf([base.diffId, app.diffId, base.diffId]));
  assert.equal(await store.driver.hasLayer(image.chainId ?? ''), true);
  assert.equal((await store.blobs()).length, 4); // two layers, config, manifest: nothing of the archive besides
});

test('load refuses archives that lie, escape or are none, and keeps nothing of them', async () => {
  await using store = await openStore();
  const refused = async (entries: readonly TarSource[], error: object) => {
    await assert.rejects(store.images.load(stream(await archive(entries))), error);
    assert.deepEqual([await store.blobs(), await store.layers(), store.staged()], [[], [], []]);
  };
  const manifest = (layer: string, tags: unknown = ['x:y']) =>
    file('manifest.json', json([{ Config: 'c.json', RepoTags: tags, Layers: [layer] }]));
  const withConfig = file('c.json', config(base));
  await refused([file('etc/passwd', base.tar)], { kind: 'invalid', code: 'not-an-image' });
  await refused([withConfig, file('l.tar', app.tar), manifest('l.tar')], { code: 'diff-id-mismatch' });
  await refused([withConfig, file('l.tar', app.blob), manifest('l.tar')], { code: 'diff-id-mismatch' });
  await refused([withConfig, manifest('/etc/passwd')], { kind: 'corrupt', message: /names "\/etc\/passwd"/ });
  await refused([withConfig, link('l.tar', '../../../etc/passwd', 'symlink'), manifest('l.tar')], { kind: 'corrupt' });
  await refused([withConfig, link('a', 'b', 'symlink'), link('b', 'a', 'symlink'), manifest('a')], { kind: 'corrupt' });
  await refused([withConfig, file('l.tar', base.tar), manifest('l.tar', ['../UP:1'])], { kind: 'invalid' });
  await refused([withConfig, file('l.tar', base.tar), manifest('l.tar', 'x')], { kind: 'corrupt' });
  const index = {
    schemaVersion: 2,
    manifests: [{ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: base.digest, size: 3 }],
  };
  await refused([file('oci-layout', json({})), file('index.json', json(index))], { code: 'digest-mismatch' });
});

test('import makes one layer of a root filesystem; addLayer and create put one on top', async () => {
  await using store = await openStore();
  const imported = await store.images.import(stream(gzipSync(base.tar)), {
    reference: 'rootfs:v1',
    message: 'made by hand',
    changes: { Cmd: ['sh'] },
  });
  assert.deepEqual(imported.tags, ['rootfs:v1']);
  assert.deepEqual(imported.config.rootfs.diff_ids, [base.diffId]);
  assert.deepEqual(imported.config.config, { Cmd: ['sh'] });
  assert.equal(imported.config.history?.[0]?.comment, 'made by hand');
  assert.equal(imported.size, 'base'.length);

  const layer = await store.images.addLayer(stream(app.tar));
  assert.equal(layer.diffId, app.diffId);
  const request = {
    config: { ...imported.config, rootfs: { type: 'layers', diff_ids: [base.diffId, app.diffId] } } as const,
    layers: [...imported.layers, layer.descriptor],
    references: ['rootfs:v2'],
  };
  const made = await store.images.create(request);
  assert.equal(made.manifest.digest, (await store.images.create(request)).manifest.digest);
  assert.equal(await store.images.unpack(made), made.chainId);
  assert.equal(await store.driver.hasLayer(made.chainId ?? ''), true);
  const wrong = { ...request, layers: imported.layers };
  await assert.rejects(store.images.create(wrong), { code: 'layers-disagree' });
  const swapped = { ...request, layers: request.layers.toReversed() };
  await assert.rejects(store.images.create(swapped), { code: 'diff-id-mismatch' });
  await assert.rejects(store.images.import(stream(Buffer.from('no tar at all'.repeat(100))), {}), { kind: 'corrupt' });
  assert.deepEqual(store.staged(), []);
});

test('a layer that climbs out of its root is refused or contained, and writes nothing outside', async () => {
  const outside = await mkdtemp(`${tmpdir()}/gantry-outside-`);
  try {
    await using store = await openStore();
    const climbing = await archive([
      link('way', outside, 'symlink'),
      file('way/by-link', Buffer.from('x')),
      file(`../../../../../../../..${outside}/by-dots`, Buffer.from('x')),
    ]);
    await store.images.import(stream(climbing), { reference: 'evil' }).catch((error: unknown) => {
      assert.ok(error instanceof Error && 'kind' in error && (error.kind === 'invalid' || error.kind === 'corrupt'));
    });
    await assert.rejects(readFile(`${outside}/by-link`), { code: 'ENOENT' });
    await assert.rejects(readFile(`${outside}/by-dots`), { code: 'ENOENT' });
  } finally {
    await rm(outside, { recursive: true });
  }
});

test('import reads what tar -z, tar --zstd and plain tar wrote', async () => {
  await using store = await openStore();

  const tar = await tarOf({ a: 'a' });
  for (const bytes of [tar, gzipSync(tar), zstdCompressSync(tar)])
    assert.deepEqual((await store.images.import(stream(bytes), {})).config.rootfs.diff_ids, [digestOf(tar)]);
});
