import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mediaTypes } from '#oci/index.ts';
import { type HubUnderTest, hubUnderTest } from './hub-under-test.ts';
import { pushImage } from './small-image.ts';

let hub: HubUnderTest;
before(async () => {
  hub = await hubUnderTest();
});
after(() => hub[Symbol.asyncDispose]());

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** Asks as the page does, with what cookie there is. */
async function ask(
  method: string,
  path: string,
  cookie = '',
  body?: unknown,
  more: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const headers = new Headers({ 'x-gantry': '1', cookie, ...more });
  if (body !== undefined) headers.set('content-type', 'application/json');
  const init = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) };
  const response = await fetch(`${hub.url}/api/v1/${path}`, { method, headers, ...init });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) };
}

const cookieOf = ({ headers }: Answer) => headers.get('set-cookie')?.split(';')[0] ?? '';
const signIn = async (name: string, password: string) => cookieOf(await ask('POST', 'session', '', { name, password }));
const kindOf = ({ status, body }: Answer) => `${status} ${(body as { kind?: string } | null)?.kind ?? ''}`.trim();

test('sign up, use the session, sign out', async () => {
  const made = await ask('POST', 'accounts', '', { name: 'zoe', password: 'long enough' });
  assert.equal(made.status, 201);
  assert.deepEqual(made.body, {
    account: { name: 'zoe', admin: false, defaultPrivate: false, organisations: [] },
    signUp: 'open',
  });
  assert.match(
    made.headers.get('set-cookie') ?? '',
    /^gantry=\S{43}; Max-Age=\d+; Path=\/; HttpOnly; SameSite=Strict$/,
  );
  const cookie = cookieOf(made);
  assert.deepEqual((await ask('GET', 'session', cookie)).body, made.body);
  const signedOut = await ask('DELETE', 'session', cookie);
  assert.equal(cookieOf(signedOut), 'gantry=');
  assert.deepEqual((await ask('GET', 'session', cookie)).body, { account: null, signUp: 'open' });
  assert.equal(kindOf(await ask('GET', 'repositories?of=me', cookie)), '401 unauthorized');
  assert.equal(kindOf(await ask('POST', 'accounts', '', { name: 'zoe', password: 'long enough' })), '409 conflict');
  assert.equal(kindOf(await ask('POST', 'session', '', { name: 'zoe', password: 'wrong one' })), '401 unauthorized');
});

test('bad input is named, and nothing but JSON of the right shape is taken', async () => {
  const short = await ask('POST', 'accounts', '', { name: 'yves', password: 'short' });
  assert.match(JSON.stringify(short.body), /"kind":"invalid","message":"the password must have at least 8/);
  assert.equal(kindOf(await ask('POST', 'accounts', '', { name: ['yves'], password: 'long enough' })), '400 invalid');
  assert.equal(kindOf(await ask('POST', 'accounts', '', 'null')), '400 invalid');
  assert.equal(kindOf(await ask('POST', 'accounts', '', '{"name":')), '400 invalid');
  const plain = await ask('POST', 'session', '', '{}', { 'content-type': 'text/plain' });
  assert.equal(kindOf(plain), '400 invalid');
  assert.equal((await ask('POST', 'session', '', { name: 'x'.repeat(70_000), password: 'x' })).status, 413);
});

test('a change that another site asks for is refused', async () => {
  const body = JSON.stringify({ name: 'ana', password: 'correct horse battery' });
  const send = (headers: Readonly<Record<string, string>>) =>
    fetch(`${hub.url}/api/v1/session`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...headers },
    }).then(({ status }) => status);
  assert.equal(await send({}), 403);
  assert.equal(await send({ 'x-gantry': '1', origin: 'http://evil.example' }), 403);
  assert.equal(await send({ 'x-gantry': '1', 'sec-fetch-site': 'same-site' }), 403);
  assert.equal(await send({ 'x-gantry': '1', origin: hub.url, 'sec-fetch-site': 'same-origin' }), 200);
});

test('the owner sees and changes repositories; others see the public ones and change nothing', async () => {
  const image = await pushImage(hub.basic('ana'), 'ana/shown', 'v1');
  const [ana, ben] = [await signIn('ana', 'correct horse battery'), await signIn('ben', 'staple staple')];
  const list = async (of: string, cookie: string) =>
    ((await ask('GET', `repositories?of=${of}`, cookie)).body as { repositories: { name: string; tags: object[] }[] })
      .repositories;
  const [shown] = await list('all', '');
  assert.equal(shown?.name, 'ana/shown');
  const mediaType = mediaTypes.ociManifest;
  const size = image.manifest.bytes.length + image.layer.bytes.length + image.config.bytes.length;
  const [tag] = (shown?.tags ?? []) as { updated: string }[];
  assert.deepEqual(
    { ...tag, updated: '' },
    { name: 'v1', digest: image.manifest.digest, mediaType, size, updated: '' },
  );
  assert.ok(Date.parse(tag?.updated ?? '') <= Date.now());

  assert.equal(kindOf(await ask('PATCH', 'repository?name=ana/shown', ben, { private: true })), '403 forbidden');
  assert.equal(kindOf(await ask('PATCH', 'repository?name=ana/shown', '', { private: true })), '401 unauthorized');
  assert.equal(kindOf(await ask('PATCH', 'repository?name=ana/none', ana, { private: true })), '404 not-found');
  assert.equal((await ask('PATCH', 'repository?name=ana/shown', ana, { private: true })).status, 200);
  assert.deepEqual(await list('all', ''), []);
  assert.equal((await list('me', ana)).length, 1);

  assert.equal(kindOf(await ask('DELETE', 'tag?name=ana/shown&tag=v1', ben)), '403 forbidden');
  assert.equal(kindOf(await ask('DELETE', 'tag?name=ana/shown&tag=none', ana)), '404 not-found');
  const byDigest = `tag?name=ana/shown&tag=${image.manifest.digest}`;
  assert.equal(kindOf(await ask('DELETE', byDigest, ana)), '400 invalid');
  assert.equal((await ask('DELETE', 'tag?name=ana/shown&tag=v1', ana)).status, 204);
  assert.deepEqual((await list('me', ana))[0]?.tags, []);
});

test('an account may have its new repositories private', async () => {
  const ben = await signIn('ben', 'staple staple');
  assert.equal((await ask('PATCH', 'account', ben, { defaultPrivate: true })).status, 200);
  await pushImage(hub.basic('ben'), 'ben/hidden', 'v1');
  assert.equal((await hub.basic('ana')('GET', '/v2/ben/hidden/manifests/v1')).status, 404);
  assert.equal((await hub.basic('ben')('GET', '/v2/ben/hidden/manifests/v1')).status, 200);
});

test('pages run nothing but the hub’s own files, and files are only those of the pages', async () => {
  for (const path of ['/', '/sign-in', '/ana', '/ana/shown', '/board/class']) {
    const response = await fetch(`${hub.url}${path}`);
    assert.equal(response.status, 200);
    const policy = response.headers.get('content-security-policy') ?? '';
    assert.match(policy, /^default-src 'self';/);
    assert.doesNotMatch(policy, /unsafe|https?:/);
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
    const html = await response.text();
    assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|https?:\/\//);
    const again = await fetch(`${hub.url}${path}`, {
      headers: { 'if-none-match': response.headers.get('etag') ?? '' },
    });
    assert.equal(again.status, 304);
  }
  for (const path of ['/assets/..%2f..%2fpackage.json', '/assets/', '/hub.db', '/index.html', '/api/v1/none'])
    assert.equal((await fetch(`${hub.url}${path}`)).status, 404, path);
});
