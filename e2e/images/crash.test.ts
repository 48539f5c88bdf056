import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startRegistry } from './registry-server.ts';
import { publish, sampleLayer } from './sample-image.ts';
import { openStore } from './store.ts';

const base = await sampleLayer({ 'etc/name': 'base' });
const app = await sampleLayer({ 'app/hello': 'hello' });
const puller = fileURLToPath(new URL('./puller.ts', import.meta.url));

/** Pulls in a process of its own and kills it with SIGKILL once `moment` has come. */
async function killedPull(
  root: string,
  reference: string,
  moment: (stdout: AsyncIterable<Buffer>) => Promise<unknown>,
) {
  const child = spawn(process.execPath, [puller, root, reference], { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = once(child, 'exit');
  await Promise.race([moment(child.stdout), gone.then(([code]) => assert.fail(`the puller ended by itself: ${code}`))]);
  child.kill('SIGKILL');
  await gone;
}

test('a pull killed half way leaves nothing once the store is opened; one that was acknowledged is whole', async () => {
  await using server = await startRegistry();
  const published = publish(server, 'ana/hello', 'v1', [base, app]);
  const name = `${server.host}/ana/hello:v1`;
  const root = await mkdtemp(`${tmpdir()}/gantry-images-`);

  const held = Promise.withResolvers<void>();
  server.intercept = (request, response) => {
    if (!request.url?.includes(app.digest)) return false;
    response.writeHead(200, { 'content-length': app.blob.length });
    response.write(app.blob.subarray(0, 40), () => held.resolve());
    return true;
  };
  await killedPull(root, name, () => held.promise);
  await using after = await openStore({ root });
  assert.deepEqual([await after.blobs(), await after.layers(), after.staged()], [[], [], []]);

  server.intercept = () => false;
  await killedPull(root, name, async (stdout) => {
    for await (const line of stdout) if (String(line).trim() === published.id) return;
  });
  await using again = await after.reopen();
  const image = await again.images.get(name);
  assert.equal(image.id, published.id);
  assert.deepEqual(await again.layers(), published.chainIds.toSorted());
  assert.deepEqual(await again.images.unpack(image), image.chainId);
});
