import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { digestOf, mediaTypes } from '#oci/index.ts';
import { parseChallenge } from './authorization.ts';
import { createRegistryClient } from './http-registry-client.ts';

const serve = async (handler: (request: IncomingMessage, response: ServerResponse) => void) => {
  const server: Server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
};

test('parseChallenge reads quoted parameters with commas and prefers Bearer', () => {
  const header = 'Basic realm="x", Bearer realm="https://a/t",service="s",scope="repository:a:pull,push"';
  assert.deepEqual(parseChallenge(header), {
    scheme: 'bearer',
    parameters: { realm: 'https://a/t', service: 's', scope: 'repository:a:pull,push' },
  });
  assert.equal(parseChallenge('Basic realm="x"')?.scheme, 'basic');
});

test('createRegistryClient gets one token per scope and leaks none on a redirect', async () => {
  const leaked: (string | undefined)[] = [];
  using storage = await serve((request, response) => {
    leaked.push(request.headers.authorization);
    response.end('layer');
  });
  let tokens = 0;
  using registry = await serve((request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    if (url.pathname === '/token') {
      tokens++;
      const right = request.headers.authorization === `Basic ${Buffer.from('ana:pw').toString('base64')}`;
      response.statusCode = right ? 200 : 401;
      response.end(JSON.stringify(right ? { token: `t:${url.searchParams.get('scope')}` } : {}));
    } else if (!request.headers.authorization?.startsWith('Bearer t:')) {
      const challenge = `Bearer realm="http://${request.headers.host}/token",service="hub"`;
      response.writeHead(401, { 'www-authenticate': challenge }).end();
    } else if (url.pathname.includes('/blobs/')) {
      response.writeHead(307, { location: `http://${storage.host}/x` }).end();
    } else if (url.pathname.includes('/manifests/')) {
      response.writeHead(404).end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}');
    } else response.end('{}');
  });
  using client = createRegistryClient();
  const credentials = { username: 'ana', password: 'pw' };
  await client.login(registry.host, credentials);
  const ref = { registry: registry.host, repository: 'ana/hello', tag: 'v1' };
  for (let i = 0; i < 2; i++) {
    const chunks = await (await client.getBlob(ref, digestOf('layer'), { credentials })).toArray();
    assert.equal(Buffer.concat(chunks as Buffer[]).toString(), 'layer');
  }
  assert.equal(tokens, 2);
  assert.deepEqual(leaked, [undefined, undefined]);
  await assert.rejects(client.getManifest(ref, { credentials }), { kind: 'not-found', code: 'manifest-unknown' });
  await assert.rejects(client.login(registry.host, { username: 'ana', password: 'no' }), { kind: 'unauthorized' });
});

test('putBlob mounts where it can, uploads to a relative Location else', async () => {
  const seen: string[] = [];
  using registry = await serve((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    const url = new URL(request.url ?? '', 'http://x');
    if (request.method === 'HEAD') response.writeHead(404).end();
    else if (request.method === 'POST' && url.searchParams.get('from') === 'ana/base') response.writeHead(201).end();
    else if (request.method === 'POST') response.writeHead(202, { location: '/v2/up/1?state=a' }).end();
    else
      void request
        .toArray()
        .then((body) => response.writeHead(Buffer.concat(body as Buffer[]).length === 5 ? 201 : 400).end());
  });
  using client = createRegistryClient();
  const ref = { registry: registry.host, repository: 'ana/hello', tag: 'v1' };
  const blob = {
    digest: digestOf('layer'),
    size: 5,
    open: () => Promise.resolve(Readable.from([Buffer.from('layer')])),
  };
  assert.deepEqual(await client.putBlob(ref, blob, { mountFrom: ['ana/base'] }), { how: 'mounted', from: 'ana/base' });
  let sent = 0;
  const onProgress = (bytes: number) => {
    sent = bytes;
  };
  assert.deepEqual(await client.putBlob(ref, blob, { onProgress }), { how: 'uploaded' });
  assert.equal(sent, 5);
  assert.match(seen.at(-1) ?? '', /^PUT \/v2\/up\/1\?state=a&digest=sha256/);
});

test('createRegistryClient names a host that is not there, and refuses a wrong manifest', async () => {
  using client = createRegistryClient();
  const gone = { registry: '127.0.0.1:1', repository: 'a', tag: 'b' };
  await assert.rejects(client.getManifest(gone), { kind: 'unavailable', message: /127\.0\.0\.1:1/ });
  using registry = await serve((_request, response) =>
    response.writeHead(200, { 'content-type': mediaTypes.ociManifest }).end('{}'),
  );
  const ref = { registry: registry.host, repository: 'a', digest: digestOf('other') };
  await assert.rejects(client.getManifest(ref), { code: 'digest-mismatch' });
});

test('getBlob from a byte on takes a range, or skips where the registry sends all, and refuses another range', async () => {
  let answer: 'range' | 'all' | 'other' = 'range';
  using registry = await serve((_request, response) => {
    if (answer === 'all') response.end('layer');
    else response.writeHead(206, { 'content-range': answer === 'range' ? 'bytes 2-4/5' : 'bytes 0-4/5' }).end('yer');
  });
  using client = createRegistryClient();
  const ref = { registry: registry.host, repository: 'ana/hello', tag: 'v1' };
  const rest = async () =>
    Buffer.concat(
      (await (await client.getBlob(ref, digestOf('layer'), { start: 2 })).toArray()) as Buffer[],
    ).toString();
  assert.equal(await rest(), 'yer');
  answer = 'all';
  assert.equal(await rest(), 'yer');
  answer = 'other';
  await assert.rejects(rest(), { kind: 'unavailable', message: /from byte 2/ });
});

test('putBlob uploads where no source of a mount can be read, and ends the upload a miss began', async () => {
  const seen: string[] = [];
  using registry = await serve((request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    seen.push(`${request.method} ${url.searchParams.get('from') ?? url.pathname}`);
    request.resume();
    const from = url.searchParams.get('from');
    if (request.method === 'HEAD') response.writeHead(404).end();
    else if (from === 'ben/secret') response.writeHead(403).end();
    else if (request.method === 'POST') response.writeHead(202, { location: `/v2/up/${from ?? 'own'}` }).end();
    else response.writeHead(request.method === 'DELETE' ? 204 : 201).end();
  });
  using client = createRegistryClient();
  const ref = { registry: registry.host, repository: 'ana/hello', tag: 'v1' };
  const open = () => Promise.resolve(Readable.from([Buffer.from('layer')]));
  const blob = { digest: digestOf('layer'), size: 5, open };
  const mountFrom = ['ana/gone', 'ben/secret'];
  assert.deepEqual(await client.putBlob(ref, blob, { mountFrom }), { how: 'uploaded' });
  assert.deepEqual(seen.slice(1), [
    'POST ana/gone',
    'DELETE /v2/up/ana/gone',
    'POST ben/secret',
    'POST /v2/ana/hello/blobs/uploads/',
    'PUT /v2/up/own',
  ]);
});

test('a password is not sent in the clear to where a registry points', async () => {
  using registry = await serve((_request, response) =>
    response.writeHead(401, { 'www-authenticate': 'Bearer realm="http://tokens.invalid/t"' }).end(),
  );
  using client = createRegistryClient();
  await assert.rejects(client.login(registry.host, { username: 'ana', password: 'pw' }), {
    kind: 'unavailable',
    message: /in the clear to tokens\.invalid; refused/,
  });
});
