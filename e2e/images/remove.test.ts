import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { startRegistry } from './registry-server.ts';
import { publish, sampleLayer } from './sample-image.ts';
import { openStore } from './store.ts';

const base = await sampleLayer({ 'etc/name': 'base' });
const app = await sampleLayer({ 'app/hello': 'hello' });

test('remove takes names first, then the image with what no other image has', async () => {
  await using server = await startRegistry();
  await using store = await openStore();
  const one = publish(server, 'ana/one', 'v1', [base]);
  const two = publish(server, 'ana/two', 'v1', [base, app]);
  const [oneName, twoName] = [`${server.host}/ana/one:v1`, `${server.host}/ana/two:v1`];
  await store.images.pull(oneName, {});
  await store.images.pull(twoName, {});
  await store.images.tag(twoName, 'two');
  assert.deepEqual(await store.images.remove('two', {}), [{ untagged: 'two:latest' }]);
  assert.deepEqual(await store.images.remove(twoName, {}), [
    { untagged: twoName },
    { untagged: `${server.host}/ana/two@${two.digest}` },
    { deleted: two.id },
    { deleted: two.chainIds[1] },
  ]);
  assert.deepEqual(await store.layers(), one.chainIds);
  assert.deepEqual(await store.blobs(), [base.digest, one.id, one.digest].toSorted());
  await assert.rejects(store.images.get(twoName), { kind: 'not-found', message: `No such image: ${twoName}` });
  await store.images.remove(one.id, {});
  assert.deepEqual([await store.blobs(), await store.layers()], [[], []]);
  await assert.rejects(store.images.remove('busybox', {}), { message: 'No such image: busybox:latest' });
});

test("remove refuses what a container uses, in Docker's words, and under force only takes the names", async () => {
  await using server = await startRegistry();
  await using store = await openStore();
  const { id } = publish(server, 'ana/hello', 'v1', [base]);
  const name = `${server.host}/ana/hello:v1`;
  await store.images.pull(name, {});
  const inUseBy = () => '0123456789ab';
  const short = id.slice(7, 19);
  await assert.rejects(store.images.remove(name, { inUseBy }), {
    kind: 'conflict',
    message: `conflict: unable to remove repository reference "${name}" (must force) - container 0123456789ab is using its referenced image ${short}`,
  });
  await assert.rejects(store.images.remove(id, { inUseBy }), {
    message: /^conflict: unable to delete .* \(must be forced\)/,
  });
  const removed = await store.images.remove(name, { inUseBy, force: true });
  assert.deepEqual(removed[0], { untagged: name });
  assert.deepEqual((await store.images.get(id)).tags, []);
  await assert.rejects(store.images.remove(id, { inUseBy, force: true }), { message: /cannot be forced/ });
  await store.images.remove(short, {});
  assert.deepEqual([await store.blobs(), await store.layers()], [[], []]);
});

test('remove of an id with names in several repositories needs force', async () => {
  await using store = await openStore();

  const image = await store.images.import(Readable.from([base.tar]), { reference: 'a' });
  await store.images.tag('a', 'b');
  await assert.rejects(store.images.remove(image.id, {}), { kind: 'conflict', message: /multiple repositories/ });
  await store.images.remove(image.id, { force: true });
  assert.deepEqual(await store.images.list(), []);
});

test("a layer under a container's diff stays until the store is opened without it", async () => {
  await using server = await startRegistry();
  await using store = await openStore();
  const { chainIds } = publish(server, 'ana/hello', 'v1', [base]);
  await store.images.pull(`${server.host}/ana/hello:v1`, {});
  await store.driver.createDiff('gantry-test', chainIds[0]);
  await store.images.remove(`${server.host}/ana/hello:v1`, {});
  assert.deepEqual([await store.blobs(), await store.layers()], [[], chainIds]);
  await store.driver.removeDiff('gantry-test');
  await using again = await store.reopen();
  assert.deepEqual(await again.layers(), []);
});
