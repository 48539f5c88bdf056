import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gantryProgram, run } from '../harness/program.ts';
import { hubUnderTest } from './hub-under-test.ts';
import { pushImage, smallImage } from './small-image.ts';

test('a mirror fetches once what many ask for, looks a tag up again when it is old, and stands in for an upstream that is away', async () => {
  await using upstream = await hubUnderTest();
  await using hub = await hubUnderTest();
  const host = new URL(upstream.url).host;
  const image = await pushImage(upstream.basic('ana'), 'ana/hello', 'v1');
  await upstream.admin('repo', 'private', 'ana/hello');
  await hub.admin('mirror', 'add', 'far', host, '--ttl', '0', '--anonymous');
  const anyone = hub.basic();
  assert.equal((await anyone('GET', '/v2/far/ana/hello/manifests/v1')).status, 401, 'the upstream wants a login');

  await upstream.admin('repo', 'public', 'ana/hello');
  const crowd = await Promise.all(Array.from({ length: 8 }, () => anyone('GET', '/v2/far/ana/hello/manifests/v1')));
  for (const answer of crowd) {
    assert.equal(answer.headers.get('docker-content-digest'), image.manifest.digest);
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), image.manifest.bytes);
  }
  const blob = await anyone('GET', `/v2/far/ana/hello/blobs/${image.layer.digest}`);
  assert.deepEqual(Buffer.from(await blob.arrayBuffer()), image.layer.bytes);
  assert.equal((await anyone('GET', `/v2/far/ana/hello/blobs/${'sha256:'.padEnd(71, '0')}`)).status, 404);
  assert.equal((await anyone('GET', '/v2/far/ana/absent/manifests/v1')).status, 401);
  assert.equal((await hub.basic('ben')('POST', '/v2/far/ana/hello/blobs/uploads/')).status, 403);

  const next = await pushImage(upstream.basic('ana'), 'ana/hello', 'v1', smallImage('the next'));
  const moved = await anyone('HEAD', '/v2/far/ana/hello/manifests/v1');
  assert.equal(moved.headers.get('docker-content-digest'), next.manifest.digest);
  assert.equal(moved.headers.get('warning'), null);

  await upstream.restart('SIGKILL'); // it comes back at another port: for the mirror it is away
  const stale = await anyone('GET', '/v2/far/ana/hello/manifests/v1');
  assert.equal(`${stale.status} ${stale.headers.get('docker-content-digest')}`, `200 ${next.manifest.digest}`);
  assert.match(stale.headers.get('warning') ?? '', /^110 /);
  const kept = await anyone('GET', `/v2/far/ana/hello/manifests/${image.manifest.digest}`);
  assert.equal(kept.status, 200, 'by digest nothing grows old');
  assert.equal((await anyone('GET', `/v2/far/ana/hello/blobs/${image.layer.digest}`)).status, 200);
});

test('a mirror logs in upstream, and fetches for those who have an account only, unless it is told otherwise', async () => {
  await using upstream = await hubUnderTest();
  await using hub = await hubUnderTest();
  await pushImage(upstream.basic('ana'), 'ana/private', 'v1');
  await upstream.admin('repo', 'private', 'ana/private');
  const args = ['hub', 'mirror', 'add', 'ours', `${new URL(upstream.url).host}/ana`, '--user', 'ana'];
  const added = await run(gantryProgram, [...args, '--password-stdin', '--data-root', hub.root], {
    input: 'correct horse battery',
  });
  assert.equal(added.code, 0, added.stderr);
  assert.match(await hub.admin('mirror', 'list'), /^ours +127\.0\.0\.1:\d+\/ana +ana +3600 s$/m);
  assert.equal((await hub.basic()('GET', '/v2/ours/private/manifests/v1')).status, 401);
  assert.equal((await hub.basic('ben')('GET', '/v2/ours/private/manifests/v1')).status, 200);
  assert.equal((await hub.basic()('GET', '/v2/ours/private/manifests/v1')).status, 200);
});

test('called by a name of its own the hub is a mirror at the root of names, as Docker and the engine ask one', async () => {
  await using upstream = await hubUnderTest();
  const image = await pushImage(upstream.basic('ana'), 'ana/hello', 'v1');
  await using hub = await hubUnderTest(['--mirror-host', 'localhost=far']);
  await hub.admin('mirror', 'add', 'far', new URL(upstream.url).host, '--anonymous');
  const mirror = hub.url.replace('127.0.0.1', 'localhost');
  // What dockerd and containerd ask of one.
  assert.equal((await fetch(`${mirror}/v2/`)).status, 401);
  const { token } = (await (await fetch(`${mirror}/token?service=gantry-hub`)).json()) as { token: string };
  assert.equal((await fetch(`${mirror}/v2/`, { headers: { authorization: `Bearer ${token}` } })).status, 200);
  const head = await fetch(`${mirror}/v2/ana/hello/manifests/v1?ns=docker.io`, { method: 'HEAD' });
  assert.equal(`${head.status} ${head.headers.get('docker-content-digest')}`, `200 ${image.manifest.digest}`);
  const layer = await fetch(`${mirror}/v2/ana/hello/blobs/${image.layer.digest}`);
  assert.deepEqual(Buffer.from(await layer.arrayBuffer()), image.layer.bytes);
  assert.equal((await fetch(`${hub.url}/v2/ana/hello/manifests/v1`)).status, 401, 'by its other name it is a hub');
  assert.equal((await fetch(`${hub.url}/v2/far/ana/hello/manifests/v1`)).status, 200);
  const push = await fetch(`${mirror}/v2/ana/hello/blobs/uploads/`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from('ana:correct horse battery').toString('base64')}` },
  });
  assert.equal(push.status, 403, 'nobody pushes to a mirror');
});
