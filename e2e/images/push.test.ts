import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startRegistry } from './registry-server.ts';
import { publish, sampleLayer } from './sample-image.ts';
import { openStore, transcript } from './store.ts';

const base = await sampleLayer({ 'etc/name': 'base' });
const app = await sampleLayer({ 'app/hello': 'hello' });

test('what is pushed is pulled elsewhere under the same digest, byte for byte', async () => {
  await using from = await startRegistry();
  await using to = await startRegistry({ token: 'secret' });
  await using store = await openStore();
  const published = publish(from, 'ana/hello', 'v1', [base, app]);
  await store.images.pull(`${from.host}/ana/hello:v1`, {});
  const name = `${to.host}/ben/hello:v2`;
  await store.images.tag(published.id, name);
  const said = transcript();
  const pushed = await store.images.push(name, said);
  assert.deepEqual(pushed, { digest: published.digest, size: published.manifest.length });
  const short = base.diffId.slice(7, 19);
  assert.equal(said.lines[0], `The push refers to repository [${to.host}/ben/hello]`);
  assert.ok(said.lines.includes(`${short}: Preparing`));
  assert.ok(said.lines.includes(`${short}: Pushed`));
  assert.equal(said.lines.at(-1), `v2: digest: ${published.digest} size: ${published.manifest.length}`);

  await using other = await openStore();
  const pulled = await other.images.pull(name, {});
  assert.equal(pulled.manifest.digest, published.digest);
  assert.deepEqual(to.repository('ben/hello').manifests.get('v2')?.bytes, published.manifest);
});

test('a second push says what is there, another repository mounts what the registry has', async () => {
  await using server = await startRegistry();
  await using store = await openStore();
  publish(server, 'ana/hello', 'v1', [base, app]);
  const name = `${server.host}/ana/hello:v1`;
  const image = await store.images.pull(name, {});
  const again = transcript();
  await store.images.push(name, again);
  const short = base.diffId.slice(7, 19);
  assert.ok(again.lines.includes(`${short}: Layer already exists`));
  await store.images.tag(image.id, `${server.host}/ben/copy:v1`);
  const mounting = transcript();
  await store.images.push(`${server.host}/ben/copy:v1`, mounting);
  assert.ok(mounting.lines.includes(`${short}: Mounted from ana/hello`));
  assert.equal(server.requests.filter((r) => r.startsWith('PUT') && r.includes('/uploads/')).length, 0);
  assert.deepEqual((await store.images.get(image.id)).repoDigests, [
    `${server.host}/ana/hello@${image.manifest.digest}`,
    `${server.host}/ben/copy@${image.manifest.digest}`,
  ]);
});

test('push names what it cannot send', async () => {
  await using store = await openStore();
  await assert.rejects(store.images.push('127.0.0.1:1/ana/none:v1', {}), {
    kind: 'not-found',
    message: /does not exist locally with the tag: 127\.0\.0\.1:1\/ana\/none:v1/,
  });
  await assert.rejects(store.images.push(`ana/x@${base.digest}`, {}), { kind: 'invalid' });
});

test('a large layer goes in chunks, and what a cut lost is sent again from where the registry has it', async () => {
  await using server = await startRegistry();
  await using store = await openStore();
  const noise = Buffer.alloc(20 << 20);
  for (let at = 0; at < noise.length; at += 4) noise.writeUInt32LE(Math.imul(at, 2654435761) >>> 0, at);
  const large = await sampleLayer({ noise }, (tar) => tar);
  publish(server, 'ana/large', 'v1', [large]);
  const image = await store.images.pull(`${server.host}/ana/large:v1`, {});
  const name = `${server.host}/ben/large:v1`;
  await store.images.tag(image.id, name);
  server.cuts.push(3 << 20, 2 << 20);
  server.intercept = async (request, response) => {
    // Nothing to mount from.
    if (request.url?.includes('mount=')) {
      response.writeHead(404).end();
      return true;
    }
    return false;
  };
  await store.images.push(name, {});
  assert.deepEqual(server.cuts, []);
  assert.deepEqual(server.repository('ben/large').blobs.get(large.digest)?.equals(large.blob), true);
  const sent = server.requests.filter((r) => r.includes('/uploads/') && !r.includes('mount='));
  assert.ok(
    sent.some((r) => r.startsWith('PATCH')),
    sent.join('\n'),
  );
  assert.equal(sent.filter((r) => r.startsWith('GET')).length, 2, 'it asks where to go on');
});
