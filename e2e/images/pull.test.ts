import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { digestOf, mediaTypes } from '#oci/index.ts';
import { blob, startRegistry } from './registry-server.ts';
import { publish, sampleLayer } from './sample-image.ts';
import { openStore, transcript } from './store.ts';

const base = await sampleLayer({ 'etc/name': 'base', 'bin/sh': 'shell' });
const app = await sampleLayer({ 'app/hello': 'hello' }, (tar) => zstdCompressSync(tar));

for (const driver of ['overlay2', 'vfs'] as const)
  test(`pull unpacks gzip and zstd layers with ${driver}, speaks Docker's words, and knows what it has`, async () => {
    await using server = await startRegistry({ token: 'secret' });
    await using store = await openStore({ driver });
    const published = publish(server, 'ana/hello', 'v1', [base, app], { mediaType: mediaTypes.dockerManifest });
    const name = `${server.host}/ana/hello:v1`;
    const first = transcript();
    const image = await store.images.pull(name, first);
    assert.equal(image.id, published.id);
    assert.deepEqual(image.tags, [name]);
    assert.deepEqual(image.repoDigests, [`${server.host}/ana/hello@${published.digest}`]);
    assert.equal(image.manifest.digest, published.digest);
    assert.equal(image.size, 'base'.length + 'shell'.length + 'hello'.length);
    assert.deepEqual(image.config.config, { Cmd: ['sh'] });
    assert.deepEqual(await store.layers(), published.chainIds.toSorted());
    assert.deepEqual(await store.blobs(), [base.digest, app.digest, published.id, published.digest].toSorted());
    assert.deepEqual(store.staged(), []);
    const short = base.digest.slice(7, 19);
    assert.equal(first.lines[0], 'v1: Pulling from ana/hello');
    assert.deepEqual(
      first.lines.filter((line) => line.startsWith(short)).map((line) => line.slice(14)),
      ['Pulling fs layer', 'Verifying Checksum', 'Download complete', 'Pull complete'],
    );
    assert.deepEqual(first.lines.slice(-2), [
      `Digest: ${published.digest}`,
      `Status: Downloaded newer image for ${name}`,
    ]);

    const again = transcript();
    await store.images.pull(name, again);
    assert.ok(again.lines.includes(`${short}: Already exists`));
    assert.equal(again.lines.at(-1), `Status: Image is up to date for ${name}`);
    const index = JSON.parse(await readFile(`${store.content.root}/index.json`, 'utf8')) as {
      manifests: { digest: string; annotations: Record<string, string> }[];
    };
    assert.deepEqual(
      index.manifests.map((m) => [m.digest, m.annotations['org.opencontainers.image.ref.name']]),
      [[published.digest, name]],
    );
  });

test('pull chooses from an index by platform, and a digest reference gives no tag', async () => {
  await using server = await startRegistry();
  await using store = await openStore();
  const ours = publish(server, 'ana/multi', 'ours', [base]);
  const theirs = publish(server, 'ana/multi', 'theirs', [app], { architecture: 'riscv64' });
  const entry = (image: typeof ours, architecture: string) => ({
    mediaType: mediaTypes.ociManifest,
    digest: image.digest,
    size: image.manifest.length,
    platform: { os: 'linux', architecture },
  });
  const host = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const index = Buffer.from(
    JSON.stringify({ schemaVersion: 2, manifests: [entry(theirs, 'riscv64'), entry(ours, host)] }),
  );
  server.repository('ana/multi').manifests.set(digestOf(index), { mediaType: mediaTypes.ociIndex, bytes: index });
  const name = `${server.host}/ana/multi@${digestOf(index)}`;
  const image = await store.images.pull(name, {});
  assert.equal(image.id, ours.id);
  assert.deepEqual(image.tags, []);
  assert.equal((await store.images.get(name)).id, ours.id);
  assert.equal((await store.images.get(ours.id.slice(7, 19))).id, ours.id);
  const platform = { os: 'linux', architecture: 's390x' };
  await assert.rejects(store.images.pull(name, { platform }), {
    kind: 'not-found',
    message: /no matching manifest for linux\/s390x .* offers linux\/riscv64, linux\/a/,
  });
});

test('pull keeps nothing of an image whose bytes are not what was promised', async () => {
  await using server = await startRegistry();
  await using store = await openStore();
  const refused = async (tag: string, code: string, serve?: (right: Buffer) => Buffer) => {
    server.intercept = (request, response) => {
      if (serve === undefined || !request.url?.includes(app.digest)) return false;
      const bytes = serve(app.blob);
      if (bytes.length < app.blob.length) {
        response.writeHead(200, { 'transfer-encoding': 'chunked' }).end(bytes);
        return true;
      }
      blob(bytes, request, response);
      return true;
    };
    await assert.rejects(store.images.pull(`${server.host}/ana/hello:${tag}`, {}), { kind: 'corrupt', code });
    assert.deepEqual(await store.blobs(), [], tag);
    assert.deepEqual(await store.layers(), [], tag);
    assert.deepEqual(store.staged(), [], tag);
    assert.deepEqual(await store.images.list(), [], tag);
  };
  const other = await sampleLayer({ evil: 'x'.repeat(20_000) }, (tar) => zstdCompressSync(tar));
  publish(server, 'ana/hello', 'right', [base, app]);
  await refused('right', 'digest-mismatch', (right) => Buffer.from(right).fill(7, 40, 60));
  await refused('right', 'digest-mismatch', (right) => Buffer.concat([other.blob, right]).subarray(0, right.length));
  await refused('right', 'size-mismatch', (right) => right.subarray(0, right.length - 9));
  await refused('right', 'size-mismatch', (right) => Buffer.concat([right, right]));
  publish(server, 'ana/hello', 'lying', [base, app], { diffIds: [base.diffId, other.diffId] });
  await refused('lying', 'diff-id-mismatch');
  publish(server, 'ana/hello', 'missing', [base, app], { diffIds: [base.diffId] });
  await refused('missing', 'layers-disagree');
  // The same store takes the right image afterwards.
  server.intercept = () => false;
  await store.images.pull(`${server.host}/ana/hello:right`, {});
});

test('pull takes a broken connection up again where it ended', async () => {
  await using server = await startRegistry();
  await using store = await openStore();
  const large = await sampleLayer(
    { noise: Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => (i * i * 31) >> 7)) },
    (tar) => tar,
  );
  const published = publish(server, 'ana/large', 'v1', [large]);
  let breaks = 2;
  server.intercept = (request, response) => {
    if (breaks === 0 || !request.url?.includes(large.digest)) return false;
    breaks--;
    const start = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0);
    const range = { 'content-range': `bytes ${start}-${large.blob.length - 1}/${large.blob.length}` };
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': large.blob.length - start,
      ...(start > 0 ? range : {}),
    });
    response.write(large.blob.subarray(start, start + 300_000), () => response.destroy());
    return true;
  };
  assert.equal((await store.images.pull(`${server.host}/ana/large:v1`, {})).id, published.id);
  assert.equal(breaks, 0);
});

test('pulls of one image at once download it once, and the last to leave stops the work', async () => {
  await using server = await startRegistry();
  await using store = await openStore();
  publish(server, 'ana/hello', 'v1', [base, app]);
  const name = `${server.host}/ana/hello:v1`;
  const gate = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  server.intercept = async (request) => {
    if (!request.url?.includes('/blobs/') || !request.url.includes(base.digest)) return false;
    asked.resolve();
    await gate.promise;
    return false;
  };
  const leaving = new AbortController();
  const left = store.images.pull(name, { signal: leaving.signal });
  await asked.promise;
  const stays = [store.images.pull(name, {}), store.images.pull(name, {})];
  // Both have read the manifest before the first one leaves.
  while (server.requests.filter((r) => r.includes('/manifests/')).length < 3) await new Promise(setImmediate);
  leaving.abort();
  await assert.rejects(left, { kind: 'cancelled' });
  gate.resolve();
  const [one, two] = await Promise.all(stays);
  assert.equal(one?.id, two?.id);
  assert.deepEqual(store.staged(), []);
  assert.equal(server.requests.filter((r) => r.includes(app.digest)).length <= 2, true);
});

test('a cancelled pull leaves nothing, and the next one succeeds', async () => {
  await using server = await startRegistry();
  await using store = await openStore();
  const published = publish(server, 'ana/hello', 'v1', [base, app]);
  const name = `${server.host}/ana/hello:v1`;
  const cancel = new AbortController();
  server.intercept = (request, response) => {
    if (!request.url?.includes(app.digest)) return false;
    response.writeHead(200, { 'content-length': app.blob.length });
    response.write(app.blob.subarray(0, 50), () => cancel.abort());
    return true;
  };
  await assert.rejects(store.images.pull(name, { signal: cancel.signal }), { kind: 'cancelled' });
  assert.deepEqual([await store.blobs(), await store.layers(), store.staged()], [[], [], []]);
  server.intercept = () => false;
  assert.equal((await store.images.pull(name, {})).id, published.id);
});

test('a tag that moves leaves the old image without a name; a store that opens again has all of it', async () => {
  await using server = await startRegistry();
  await using store = await openStore();
  const name = `${server.host}/ana/hello:v1`;
  const old = publish(server, 'ana/hello', 'v1', [base]);
  await store.images.pull(name, {});
  const fresh = publish(server, 'ana/hello', 'v1', [base, app]);
  await store.images.pull(name, {});
  await using again = await store.reopen();
  const seen = (await again.images.list()).map(({ id, tags }) => [id, tags]);
  assert.deepEqual(seen, [
    [old.id, []],
    [fresh.id, [name]],
  ]);
  assert.deepEqual(await again.layers(), fresh.chainIds.toSorted());
});
