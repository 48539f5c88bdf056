import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../harness/program.ts';
import { type RegistryServer, startRegistry } from './registry-server.ts';
import { publish, sampleLayer } from './sample-image.ts';
import { seededRandom } from './seeded-random.ts';
import { openStore, type Store } from './store.ts';

const puller = fileURLToPath(new URL('./puller.ts', import.meta.url));
const random = seededRandom(3);
const large = await sampleLayer({ noise: Buffer.from(Array.from({ length: 6 << 20 }, () => random() * 256)) });
const half = 4 << 20;

/** The server sends half of the layer, then nothing more; the ranges that are asked for after that. */
function halt(server: RegistryServer) {
  const ranges: (string | undefined)[] = [];
  let halted = false;
  server.intercept = (request, response) => {
    if (!request.url?.includes(large.digest)) return false;
    ranges.push(request.headers.range);
    if (halted) return false;
    halted = true;
    response.writeHead(200, { 'content-length': large.blob.length });
    response.write(large.blob.subarray(0, half));
    return true;
  };
  return ranges;
}
const partialOf = (root: string) => `${root}/content/staging/partial-sha256-${large.digest.slice(7)}`;
const sizeOf = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

async function killedHalfWay(server: RegistryServer, name: string): Promise<string> {
  const root = await mkdtemp(`${tmpdir()}/gantry-images-`);
  const child = spawn(process.execPath, [puller, root, name], { stdio: ['ignore', 'ignore', 'inherit'] });
  const gone = once(child, 'exit');
  await until(() => (sizeOf(partialOf(root)) >= half - (256 << 10) ? true : undefined));
  child.kill('SIGKILL');
  await gone;
  assert.ok(server.requests.length > 0);
  return root;
}

test('a layer goes on where it broke off after the engine was killed; two pulls share the rest', async () => {
  await using server = await startRegistry();
  const published = publish(server, 'ana/large', 'v1', [large]);
  publish(server, 'ana/other', 'v1', [large]);
  const ranges = halt(server);
  const root = await killedHalfWay(server, `${server.host}/ana/large:v1`);
  const had = sizeOf(partialOf(root));
  await using store = await openStore({ root });
  assert.equal(sizeOf(partialOf(root)), had, 'the store keeps it when it is opened');
  const [image] = await Promise.all([
    store.images.pull(`${server.host}/ana/large:v1`, {}),
    store.images.pull(`${server.host}/ana/other:v1`, {}),
  ]);
  assert.equal(image?.id, published.id);
  assert.deepEqual(ranges, [undefined, `bytes=${had}-`]);
  assert.deepEqual([store.staged(), (await store.images.check({})).problems], [[], []]);
});

test('what was torn by a crash is fetched anew; what is kept and not wanted goes with image prune', async () => {
  await using server = await startRegistry();
  publish(server, 'ana/large', 'v1', [large]);
  const ranges = halt(server);
  const name = `${server.host}/ana/large:v1`;
  const root = await killedHalfWay(server, name);
  const bytes = readFileSync(partialOf(root));
  writeFileSync(partialOf(root), bytes.fill(0, bytes.length - 5000));
  await using store = await openStore({ root });
  await store.images.pull(name, {});
  assert.deepEqual(ranges.slice(2), [undefined]);
  assert.deepEqual(store.staged(), []);

  await store.images.remove(name, {});
  await cancelledHalfWay(server, store, name);
  assert.equal(store.staged().length, 1);
  await store.images.prune({});
  assert.deepEqual(store.staged(), []);
});

async function cancelledHalfWay(server: RegistryServer, store: Store, name: string): Promise<void> {
  halt(server);
  const cancel = new AbortController();
  const pulled = assert.rejects(store.images.pull(name, { signal: cancel.signal }), { kind: 'cancelled' });
  await until(() => (sizeOf(partialOf(store.root)) > 2 << 20 ? true : undefined));
  cancel.abort();
  await pulled;
}
