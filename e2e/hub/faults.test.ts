import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { type ClientRequest, request } from 'node:http';
import { request as secureRequest } from 'node:https';
import { test } from 'node:test';
import { gantryProgram, run, until } from '../harness/program.ts';
import { type HubUnderTest, hubUnderTest, refusal } from './hub-under-test.ts';
import { blobOf, pushImage, putBlob, putManifest, smallImage } from './small-image.ts';

/** Sends the beginning of a body and leaves the request open. */
function half(hub: HubUnderTest, method: string, path: string, bytes: string): ClientRequest {
  const authorization = `Basic ${Buffer.from('ana:correct horse battery').toString('base64')}`;
  const open = request(new URL(path, hub.url), { method, headers: { authorization } });
  open.on('error', () => {}); // it is cut off on purpose
  open.write(bytes);
  return open;
}

/** Waits until the hub's staging directory holds a file of this size. */
const staged = (hub: HubUnderTest, size: number) =>
  until(() => {
    const directory = `${hub.root}/content/staging`;
    return readdirSync(directory).some((name) => readFileSync(`${directory}/${name}`).length === size) || undefined;
  });

for (const signal of ['SIGTERM', 'SIGKILL'] as const)
  test(`an upload goes on after the hub was ended with ${signal}, and what was pushed is there`, async () => {
    await using hub = await hubUnderTest();
    const ana = hub.basic('ana');
    const image = await pushImage(ana, 'ana/kept', 'v1');
    const begun = await ana('POST', '/v2/ana/resumed/blobs/uploads/');
    const location = begun.headers.get('location') ?? '';
    const blob = blobOf('first half, second half');
    const patch = (from: number, to: number) =>
      ana('PATCH', location, {
        body: blob.bytes.subarray(from, to),
        headers: { 'content-range': `${from}-${to - 1}` },
      });
    assert.equal((await patch(0, 10)).status, 202);
    await hub.restart(signal);
    const status = await ana('GET', location);
    assert.equal(`${status.status} ${status.headers.get('range')}`, '204 0-9');
    assert.equal((await patch(10, blob.bytes.length)).status, 202);
    assert.equal((await ana('PUT', `${location}?digest=${blob.digest}`)).status, 201);
    const read = await ana('GET', `/v2/ana/resumed/blobs/${blob.digest}`);
    assert.equal(await read.text(), blob.bytes.toString());
    const kept = await ana('GET', '/v2/ana/kept/manifests/v1');
    assert.deepEqual(Buffer.from(await kept.arrayBuffer()), image.manifest.bytes);
  });

test('SIGKILL in the middle of an upload leaves nothing to see', async () => {
  await using hub = await hubUnderTest();
  const begun = await hub.basic('ana')('POST', '/v2/ana/cut/blobs/uploads/');
  const text = 'x'.repeat(1 << 20);
  half(hub, 'PATCH', begun.headers.get('location') ?? '', text);
  half(hub, 'POST', `/v2/ana/cut/blobs/uploads/?digest=${blobOf(`${text}more`).digest}`, text);
  await staged(hub, text.length);
  await hub.restart('SIGKILL');
  const ana = hub.basic('ana');
  assert.equal((await ana('HEAD', `/v2/ana/cut/blobs/${blobOf(text).digest}`)).status, 404);
  assert.equal(await refusal(await ana('GET', '/v2/ana/cut/tags/list')), '404 NAME_UNKNOWN');
  assert.deepEqual(await (await ana('GET', '/v2/_catalog')).json(), { repositories: [] });
  const mine = await fetch(`${hub.url}/api/v1/repositories?of=all`);
  assert.deepEqual(await mine.json(), { repositories: [], more: false });
});

test('of a stream that breaks off, what arrived stays and the client goes on from there', async () => {
  await using hub = await hubUnderTest();
  const ana = hub.basic('ana');
  const begun = await ana('POST', '/v2/ana/broken/blobs/uploads/');
  const location = begun.headers.get('location') ?? '';
  const first = 'a'.repeat(1 << 20);
  const broken = half(hub, 'PATCH', location, first);
  await staged(hub, first.length);
  broken.destroy();
  const rest = await ana('PATCH', location, { body: 'rest', headers: { 'content-range': '1048576-1048579' } });
  assert.equal(rest.headers.get('range'), '0-1048579');
  assert.equal((await ana('PUT', `${location}?digest=${blobOf(`${first}rest`).digest}`)).status, 201);
});

test('many push the same image at once', async () => {
  await using hub = await hubUnderTest();
  const image = smallImage('the same');
  await Promise.all(
    Array.from({ length: 8 }, async (_, i) => {
      const [name, ask] = i % 2 === 0 ? (['ana', hub.bearer('ana')] as const) : (['ben', hub.bearer('ben')] as const);
      for (const blob of [image.layer, image.config]) {
        const { status } = await putBlob(ask, `${name}/same`, blob);
        assert.equal(status, 201);
      }
      assert.equal((await putManifest(ask, `${name}/same`, `v${i}`, image.manifest)).status, 201);
    }),
  );
  const tags = await (await hub.basic()('GET', '/v2/ben/same/tags/list')).json();
  assert.deepEqual(tags, { name: 'ben/same', tags: ['v1', 'v3', 'v5', 'v7'] });
});

test('a data root and a port serve one hub; a second one says who has them', async () => {
  await using hub = await hubUnderTest();
  const serve = (...args: string[]) => run(gantryProgram, ['hub', 'serve', ...args]);
  const root = await serve('--listen', '127.0.0.1:0', '--data-root', hub.root);
  assert.equal(root.code, 1);
  assert.match(root.stderr, new RegExp(`another hub serves ${hub.root}; .*--data-root`));
  const { host } = new URL(hub.url);
  const port = await serve('--listen', host, '--data-root', `${hub.root}/second`);
  assert.equal(port.code, 1);
  assert.match(port.stderr, new RegExp(`cannot listen on ${host}.*--listen`));
});

test('with a certificate the hub speaks HTTPS, and its cookies and challenges say so', async () => {
  await using hub = await hubUnderTest();
  const [cert, key] = [`${hub.root}/cert.pem`, `${hub.root}/key.pem`];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'],
    ...['-keyout', key, '-out', cert, ...subject],
  ]);
  assert.equal(made.status, 0, String(made.stderr));
  await using secure = await hubUnderTest(['--tls-cert', cert, '--tls-key', key]);
  assert.match(secure.url, /^https:/);
  const port = new URL(secure.url).port;
  const ask = (method: string, path: string, body?: string) =>
    new Promise<Readonly<Record<string, unknown>>>((done, fail) => {
      const headers = { 'content-type': 'application/json', 'x-gantry': '1' };
      const sent = secureRequest(
        { host: '127.0.0.1', port, servername: 'localhost', ca: readFileSync(cert), method, path, headers },
        (response) => {
          response.resume().once('end', () => done({ status: response.statusCode, ...response.headers }));
        },
      );
      sent.once('error', fail).end(body);
    });
  const base = await ask('GET', '/v2/');
  assert.match(String(base['www-authenticate']), /^Bearer realm="https:/);
  const signedIn = await ask('POST', '/api/v1/session', '{"name":"ana","password":"correct horse battery"}');
  assert.equal(signedIn.status, 200);
  assert.match(String(signedIn['set-cookie']), /^__Host-gantry=\S+; .*HttpOnly; SameSite=Strict; Secure$/);
  const half = await run(gantryProgram, ['hub', 'serve', '--tls-cert', cert, '--data-root', hub.root]);
  assert.match(half.stderr, /--tls-key/);
});
