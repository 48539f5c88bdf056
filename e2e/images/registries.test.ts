import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync } from 'node:fs';
import { after, test } from 'node:test';
import { createRegistryClient } from '#distribution/index.ts';
import { makeCertificates } from '../harness/certificates.ts';
import { startProxy } from './proxy-server.ts';
import { startRegistry } from './registry-server.ts';
import { publish, sampleLayer } from './sample-image.ts';
import { openStore, transcript } from './store.ts';

const names = ['registry-1.docker.io', 'auth.docker.io', 'registry.test', 'storage.test'];
const certificates = makeCertificates(names);
after(() => certificates[Symbol.dispose]());
const { server, client, ca } = certificates;
const serverTls = { cert: certificates.read(server.cert), key: certificates.read(server.key) };
const trusted = { ca: certificates.read(ca) };
const layer = await sampleLayer({ 'etc/name': 'base' });

test("Docker Hub's names, its token from another host, and its rate limit, through a proxy over TLS", async () => {
  const scopes: (string | null)[] = [];
  await using auth = await startRegistry({ tls: serverTls });
  auth.intercept = (request, response) => {
    const url = new URL(request.url ?? '', 'https://x');
    scopes.push(url.searchParams.get('scope'), url.searchParams.get('service'), request.headers.authorization ?? null);
    response.end(JSON.stringify({ token: 'secret', expires_in: 300 }));
    return true;
  };
  await using hub = await startRegistry({ tls: serverTls, token: 'secret', realm: 'https://auth.docker.io/token' });
  hub.intercept = (_request, response) => {
    response.setHeader('ratelimit-limit', '100;w=21600').setHeader('ratelimit-remaining', '76;w=21600');
    return false;
  };
  publish(hub, 'library/busybox', 'latest', [layer]);
  await using proxy = await startProxy({ 'registry-1.docker.io:443': hub.port, 'auth.docker.io:443': auth.port });
  await using store = await openStore({ registry: { ...trusted, proxyEnvironment: { HTTPS_PROXY: proxy.url } } });
  const said = transcript();
  const image = await store.images.pull('busybox', { ...said, credentials: { username: 'ana', password: 'pw' } });
  assert.deepEqual(image.tags, ['busybox:latest']);
  assert.match(image.repoDigests[0] ?? '', /^busybox@sha256:/);
  assert.ok(said.lines.includes('Rate limit: 76 of 100 pulls left in 21600 s'), said.lines.join('\n'));
  assert.deepEqual(scopes, [
    'repository:library/busybox:pull',
    'test',
    `Basic ${Buffer.from('ana:pw').toString('base64')}`,
  ]);
  assert.equal((await store.images.get('docker.io/library/busybox')).id, image.id);
  assert.equal((await store.images.get('index.docker.io/busybox')).id, image.id);
  assert.deepEqual(
    new Set(proxy.requests),
    new Set(['CONNECT registry-1.docker.io:443', 'CONNECT auth.docker.io:443']),
  );

  proxy.requests.length = 0;
  const environment = { HTTPS_PROXY: proxy.url, NO_PROXY: 'registry.test,.other' };
  using direct = createRegistryClient({ ...trusted, proxyEnvironment: environment });
  const ref = { registry: 'registry.test', repository: 'a/b', tag: 'v1' };
  await assert.rejects(direct.getManifest(ref), { kind: 'unavailable' });
  assert.deepEqual(proxy.requests, []);
});

test('HTTP_PROXY serves hosts that are spoken to in the clear', async () => {
  await using registry = await startRegistry();
  publish(registry, 'ana/hello', 'v1', [layer]);
  await using proxy = await startProxy({ 'clear.test:5000': registry.port });
  await using store = await openStore({
    registry: { insecure: (host) => host === 'clear.test:5000', proxyEnvironment: { http_proxy: proxy.url } },
  });
  await store.images.pull('clear.test:5000/ana/hello:v1', {});
  assert.ok(proxy.requests.includes('GET http://clear.test:5000/v2/ana/hello/manifests/v1'), proxy.requests.join('\n'));
});

test('a registry with a certificate of its own authority and one that wants ours: certs.d, or daemon.json', async () => {
  const wants = { ...serverTls, ca: certificates.read(ca), requestCert: true, rejectUnauthorized: true };
  await using registry = await startRegistry({ tls: wants, account: { username: 'ana', password: 'pw' } });
  publish(registry, 'ana/hello', 'v1', [layer]);
  const name = `${registry.host}/ana/hello:v1`;
  const credentials = { username: 'ana', password: 'pw' };
  const pull = async (options: Parameters<typeof createRegistryClient>[0]) => {
    await using store = await openStore(options === undefined ? {} : { registry: options });
    return await store.images.pull(name, { credentials });
  };
  await assert.rejects(pull({}), { kind: 'unavailable', message: /certificate/ });
  const certsD = `${certificates.ca}.d`;
  mkdirSync(`${certsD}/${registry.host}`, { recursive: true });
  copyFileSync(ca, `${certsD}/${registry.host}/ca.crt`);
  await assert.rejects(pull({ certificateDirectories: [certsD] }), { kind: 'unavailable' }); // who are we?
  copyFileSync(client.cert, `${certsD}/${registry.host}/client.cert`);
  await assert.rejects(pull({ certificateDirectories: [certsD] }), { kind: 'invalid', message: /has no client\.key/ });
  copyFileSync(client.key, `${certsD}/${registry.host}/client.key`);
  await pull({ certificateDirectories: ['/nowhere', certsD] });
  await pull({ registries: { [registry.host]: { ca, ...client } } });
  await pull({ registries: { [registry.host]: { insecure: true, ...client } } });
  await assert.rejects(pull({ registries: { [registry.host]: { ca: '/nowhere.crt' } } }), {
    kind: 'invalid',
    message: /\/nowhere\.crt cannot be read/,
  });
});

test('mirrors of any registry are asked in order, without credentials, and passed over where they fail', async () => {
  await using origin = await startRegistry({ account: { username: 'ana', password: 'pw' } });
  await using empty = await startRegistry();
  await using full = await startRegistry();
  publish(origin, 'ana/hello', 'v1', [layer]);
  const credentials = { username: 'ana', password: 'pw' };
  const mirrors = ['http://127.0.0.1:1', `http://${empty.host}`, `http://${full.host}`];
  const registry = { registries: { [origin.host]: { mirrors } } };
  const told: (string | undefined)[] = [];
  full.intercept = ({ headers }) => {
    told.push(headers.authorization);
    return false;
  };
  await using store = await openStore({ registry });
  await store.images.pull(`${origin.host}/ana/hello:v1`, { credentials });
  assert.ok(empty.requests.length > 0 && full.requests.length > 0 && origin.requests.length > 0);
  assert.deepEqual(new Set(told), new Set([undefined]));

  publish(full, 'ana/hello', 'v1', [layer]);
  origin.requests.length = 0;
  await using other = await openStore({ registry });
  const image = await other.images.pull(`${origin.host}/ana/hello:v1`, { credentials });
  assert.deepEqual(image.tags, [`${origin.host}/ana/hello:v1`]);
  assert.deepEqual(origin.requests, []);
  assert.throws(() => createRegistryClient({ mirrors: ['mirror.test/x'] }), { kind: 'invalid' });
});

test('a mirror that is stale, breaks off, or has other bytes does not keep an image from coming from its registry', async () => {
  await using origin = await startRegistry();
  await using mirror = await startRegistry();
  const other = await sampleLayer({ 'etc/name': 'other' });
  const large = await sampleLayer({ large: Buffer.from(Array.from({ length: 300_000 }, (_, n) => (n * n) >> 3)) });
  const fresh = publish(origin, 'ana/hello', 'v1', [layer, large]);
  const pull = async (name: string) => {
    await using store = await openStore({
      registry: { registries: { [origin.host]: { mirrors: [`http://${mirror.host}`] } } },
    });
    const { id } = await store.images.pull(name, {});
    assert.deepEqual((await store.images.check({})).problems, []);
    return id;
  };
  const at = `${origin.host}/ana/hello`;

  // What the mirror says a tag is, is what it is; what it has lost of that comes from the registry.
  const stale = publish(origin, 'ana/hello', 'old', [layer]);
  publish(mirror, 'ana/hello', 'v1', [layer]);
  mirror.repository('ana/hello').blobs.clear();
  assert.equal(await pull(`${at}:v1`), stale.id);

  publish(mirror, 'ana/hello', 'v1', [layer, large]);
  let broken = 0;
  mirror.intercept = (request, response) => {
    if (!request.url?.includes(large.digest) || request.method === 'HEAD') return false;
    broken++;
    const start = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0);
    const size = large.blob.length;
    if (start === 0) response.writeHead(200, { 'content-length': size });
    else response.writeHead(206, { 'content-range': `bytes ${start - 1}-${size - 1}/${size}` });
    response.write(large.blob.subarray(0, 1000), () => setImmediate(() => response.destroy()));
    return true;
  };
  assert.equal(await pull(`${at}:v1`), fresh.id);
  assert.equal(broken, 2, 'cut once, and then another range than asked');

  mirror.intercept = () => false;
  const { blobs, manifests } = mirror.repository('ana/hello');
  for (const key of [layer.digest, large.digest]) blobs.set(key, other.blob);
  assert.equal(await pull(`${at}:v1`), fresh.id);
  blobs.set(large.digest, Buffer.from(large.blob).fill(0, 500, 600));
  assert.equal(await pull(`${at}:v1`), fresh.id);
  const { digest } = fresh;
  manifests.set(digest, { mediaType: 'application/vnd.oci.image.manifest.v1+json', bytes: Buffer.from('{}') });
  assert.equal(await pull(`${at}@${digest}`), fresh.id);
});

test('a registry that asks to wait is waited for; one that asks for an hour is told of', async () => {
  await using registry = await startRegistry();
  await using store = await openStore();
  publish(registry, 'ana/hello', 'v1', [layer]);
  const name = `${registry.host}/ana/hello:v1`;
  let refusals = 2;
  let wait = '0';
  registry.intercept = (_request, response) => {
    if (refusals-- <= 0) return false;
    response.writeHead(429, {
      'retry-after': wait,
      'ratelimit-limit': '100;w=21600',
      'ratelimit-remaining': '0;w=21600',
    });
    response.end('{"errors":[{"code":"TOOMANYREQUESTS","message":"you have reached your pull rate limit"}]}');
    return true;
  };
  await store.images.pull(name, {});
  [refusals, wait] = [1, '3600'];
  await assert.rejects(store.images.pull(name, {}), {
    kind: 'unavailable',
    code: 'toomanyrequests',
    message: /reached your pull rate limit .*limits requests to 100 in 21600 s \(0 left\), for another 3600 s/,
  });
});

test('login brings an identity token where there is one, and a pull with it asks as OAuth2 has it', async () => {
  const asked: string[] = [];
  await using registry = await startRegistry({ token: 'secret' });
  publish(registry, 'ana/hello', 'v1', [layer]);
  registry.intercept = async (request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    if (url.pathname !== '/token') return false;
    asked.push(`${request.method} ${url.search}${Buffer.concat((await request.toArray()) as Buffer[])}`);
    const offline = url.searchParams.get('offline_token') === 'true';
    response.end(
      JSON.stringify({ token: 'secret', access_token: 'secret', ...(offline ? { refresh_token: 'long' } : {}) }),
    );
    return true;
  };
  using login = createRegistryClient();
  const { identityToken } = await login.login(registry.host, { username: 'ana', password: 'pw' });
  assert.equal(identityToken, 'long');
  await using store = await openStore();
  await store.images.pull(`${registry.host}/ana/hello:v1`, { credentials: { identityToken: 'long' } });
  assert.equal(
    asked.at(-1),
    'POST grant_type=refresh_token&refresh_token=long&client_id=gantry&service=test&scope=repository%3Aana%2Fhello%3Apull',
  );
});
