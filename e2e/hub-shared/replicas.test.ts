import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { mediaTypes } from '#oci/index.ts';
import { gantryProgram, run, until } from '../harness/program.ts';
import { type HubStorage, type HubUnderTest, hubUnderTest, refusal } from '../hub/hub-under-test.ts';
import { blobOf, pushImage, putBlob, putManifest, smallImage } from '../hub/small-image.ts';
import { hubStorageOf, type SharedStorage, startSharedStorage } from './shared-storage.ts';

/** Two hubs on one database and one bucket, as behind a load balancer. */
let shared: SharedStorage;
let one: HubUnderTest;
let two: HubUnderTest;
let storage: HubStorage;
let bucket = '';
before(async () => {
  shared = await startSharedStorage();
  const place = await shared.fresh();
  bucket = place.bucket;
  storage = hubStorageOf(shared, place);
  one = await hubUnderTest([], storage);
  two = await hubUnderTest([], { ...storage, used: true });
});
after(async () => {
  await two[Symbol.asyncDispose]();
  await one[Symbol.asyncDispose]();
  await shared[Symbol.asyncDispose]();
});
const objects = () =>
  readdirSync(`${shared.objectRoot}/${bucket}`, { recursive: true, withFileTypes: true })
    .filter(({ name }) => name.endsWith('_object'))
    .map(({ name, parentPath }) => statSync(`${parentPath}/${name}`).size)
    .sort((a, b) => a - b);

test('an upload begun at one hub goes on at the other, and a third request ends it at the first', async () => {
  const [at, then] = [one.basic('ana'), two.basic('ana')];
  const whole = randomBytes(21_000_000);
  const cut = [6_000_000, 6_000_001, 17_500_000];
  const begun = await at('POST', '/v2/ana/moved/blobs/uploads/');
  const location = begun.headers.get('location') ?? assert.fail();
  const send = async (ask: typeof at, from: number, to: number) => {
    const headers = { 'content-range': `${from}-${to - 1}` };
    const response = await ask('PATCH', location, { body: whole.subarray(from, to), headers });
    assert.equal(response.status, 202);
    assert.equal(response.headers.get('range'), `0-${to - 1}`);
  };
  await send(then, 0, cut[0] ?? 0);
  await send(at, cut[0] ?? 0, cut[1] ?? 0);
  await send(then, cut[1] ?? 0, cut[2] ?? 0);
  assert.equal((await at('GET', location)).headers.get('range'), `0-${(cut[2] ?? 0) - 1}`);
  const stale = await at('PATCH', location, { body: 'abc', headers: { 'content-range': '0-2' } });
  assert.equal(await refusal(stale), '416 BLOB_UPLOAD_INVALID');
  const digest = `sha256:${createHash('sha256').update(whole).digest('hex')}`;
  const done = await at('PUT', `${location}?digest=${digest}`, { body: whole.subarray(cut[2]) });
  assert.equal(done.status, 201);
  const got = Buffer.from(await (await then('GET', `/v2/ana/moved/blobs/${digest}`)).arrayBuffer());
  assert.ok(got.equals(whole));
  assert.equal((await then('GET', location)).status, 404);
});

test('a blob is given by a redirect to the bucket, signed for some minutes, once the hub has let the caller through', async () => {
  const image = await pushImage(one.basic('ana'), 'ana/sent', 'v1');
  const path = `/v2/ana/sent/blobs/${image.layer.digest}`;
  const answer = await fetch(`${two.url}${path}`, { redirect: 'manual' });
  assert.equal(answer.status, 307);
  assert.equal(answer.headers.get('cache-control'), 'no-store');
  const location = answer.headers.get('location') ?? assert.fail();
  assert.equal(await (await fetch(location)).text(), image.layer.bytes.toString());
  assert.match(location, /[?&]X-Amz-Expires=1200&.*X-Amz-Signature=[0-9a-f]{64}/);
  const head = await fetch(`${two.url}${path}`, { method: 'HEAD', redirect: 'manual' });
  assert.equal(head.headers.get('content-length'), String(image.layer.bytes.length));
  await one.admin('repo', 'private', 'ana/sent');
  assert.equal((await fetch(`${two.url}${path}`, { redirect: 'manual' })).status, 401);
});

test('without redirects the hub hands blobs on, whole and in parts', async () => {
  const database = await shared.fresh();
  await using hub = await hubUnderTest(['--s3-redirect', 'off'], hubStorageOf(shared, database));
  const image = await pushImage(hub.basic('ana'), 'ana/handed', 'v1');
  const url = `${hub.url}/v2/ana/handed/blobs/${image.layer.digest}`;
  assert.equal(await (await fetch(url, { redirect: 'manual' })).text(), image.layer.bytes.toString());
  const part = await fetch(url, { headers: { range: 'bytes=1-3' }, redirect: 'manual' });
  assert.equal(part.status, 206);
  assert.equal(await part.text(), image.layer.bytes.toString().slice(1, 4));
  const empty = blobOf('');
  assert.equal((await putBlob(hub.basic('ana'), 'ana/handed', empty)).status, 201);
  assert.equal(await (await fetch(`${hub.url}/v2/ana/handed/blobs/${empty.digest}`)).text(), '');
});

test('sessions, tokens and what is taken back hold at both', async () => {
  const page = await one.page('ana');
  const { secret } = (await (await page('POST', 'tokens', { name: 'ci', scope: 'write' })).json()) as {
    secret: string;
  };
  await pushImage(two.basic('ana', secret), 'ana/token', 'v1');
  const asked = await fetch(`${one.url}/token?scope=repository:ana/token:pull,push`, {
    headers: { authorization: `Basic ${Buffer.from(`ana:${secret}`).toString('base64')}` },
  });
  const { token } = (await asked.json()) as { token: string };
  const bearer = { headers: { authorization: `Bearer ${token}` }, method: 'POST' };
  assert.equal((await fetch(`${two.url}/v2/ana/token/blobs/uploads/`, bearer)).status, 202);
  const { tokens } = (await (await page('GET', 'tokens')).json()) as { tokens: { id: number }[] };
  assert.equal((await page('DELETE', `tokens?id=${tokens[0]?.id}`)).status, 204);
  assert.equal((await fetch(`${two.url}/v2/ana/token/blobs/uploads/`, bearer)).status, 401);
  const elsewhere = await two.page('ana');
  assert.equal((await elsewhere('GET', 'session')).status, 200);
});

test('members at the other hub see the board change as it does', async () => {
  const [ana, ben] = [await one.page('ana'), await two.page('ben')];
  await ana('POST', 'organisations', { name: 'class' });
  await one.admin('org', 'member', 'class', 'ben', 'reader');
  await pushImage(one.basic('ana'), 'ana/shown', 'v1');
  const events = await ben('GET', 'board/events?org=class');
  assert.equal(events.status, 200);
  const reader = events.body?.pipeThrough(new TextDecoderStream()).getReader() ?? assert.fail();
  assert.match((await reader.read()).value ?? '', /open/);
  const posted = await ana('POST', 'board?org=class', { repository: 'ana/shown', tag: 'v1', word: 'look' });
  const { id } = (await posted.json()) as { id: number };
  assert.match((await reader.read()).value ?? '', new RegExp(`event: post\ndata: ${id}\n`));
  await reader.cancel();
  const { posts } = (await (await ben('GET', 'board?org=class')).json()) as { posts: { word: string }[] };
  assert.equal(posts[0]?.word, 'look');
});

test('garbage is collected beside pushes at both hubs, and nothing that is reachable goes', async () => {
  const [at, then] = [one.basic('ana'), two.basic('ana')];
  const image = smallImage('the same everywhere');
  let collecting = true;
  const collect = () => run(gantryProgram, ['hub', 'gc', '--grace', '0', ...storage.flags], { env: storage.env });
  const collections = (async () => {
    let freed = 0;
    while (collecting) {
      const { code, stdout, stderr } = await collect();
      if (code === 0) freed += Number(/freed (\d+)/.exec(stdout)?.[1]);
      else assert.match(stderr, /garbage/);
    }
    return freed;
  })();
  const pushing = async (ask: typeof at, who: string) => {
    for (let round = 0; round < 15; round++) {
      const name = `ana/${who}${round}`;
      for (let attempt = 0; ; attempt++) {
        for (const blob of [image.layer, image.config]) assert.equal((await putBlob(ask, name, blob)).status, 201);
        const { status } = await putManifest(ask, name, 'v1', image.manifest);
        // Without grace a blob may be gone before its manifest comes: a client pushes it again.
        if (status === 201) break;
        assert.equal(status, 404);
        assert.ok(attempt < 50);
      }
      if (round % 3 === 2)
        assert.equal((await ask('DELETE', `/v2/${name}/manifests/${image.manifest.digest}`)).status, 202);
    }
  };
  await Promise.all([pushing(at, 'one'), pushing(then, 'two')]);
  collecting = false;
  await collections;
  for (const [ask, who] of [
    [then, 'one'],
    [at, 'two'],
  ] as const)
    for (let round = 0; round < 15; round++) {
      if (round % 3 === 2) continue;
      const manifest = await ask('GET', `/v2/ana/${who}${round}/manifests/v1`, {
        headers: { accept: mediaTypes.ociManifest },
      });
      assert.equal(manifest.status, 200);
      for (const { digest, bytes } of [image.layer, image.config]) {
        const got = await ask('GET', `/v2/ana/${who}${round}/blobs/${digest}`);
        assert.equal(await got.text(), bytes.toString());
      }
    }
  assert.match(await one.admin('check'), /all good$/);
});

test('what nothing reaches goes out of the bucket too, and a hub killed in an upload leaves one that goes on', async () => {
  const ana = one.basic('ana');
  const before = objects();
  const blob = blobOf(randomBytes(500_000));
  assert.equal((await putBlob(ana, 'ana/lonely', blob)).status, 201);
  assert.equal(objects().length, before.length + 1);
  await one.admin('gc', '--grace', '0');
  assert.equal(objects().length <= before.length, true);
  const begun = await ana('POST', '/v2/ana/killed/blobs/uploads/');
  const location = begun.headers.get('location') ?? assert.fail();
  const whole = randomBytes(9_000_000);
  assert.equal((await ana('PATCH', location, { body: whole.subarray(0, 8_500_000) })).status, 202);
  await one.restart('SIGKILL');
  const digest = `sha256:${createHash('sha256').update(whole).digest('hex')}`;
  const again = one.basic('ana');
  assert.equal((await again('PUT', `${location}?digest=${digest}`, { body: whole.subarray(8_500_000) })).status, 201);
  const got = await two.basic('ana')('GET', `/v2/ana/killed/blobs/${digest}`);
  assert.ok(Buffer.from(await got.arrayBuffer()).equals(whole));
});

test('a hub whose database is away says so, and serves again when it is back', async () => {
  assert.equal((await fetch(`${one.url}/readyz`)).status, 200);
  await shared.stopDatabase();
  const lacks = await until(async () => {
    const response = await fetch(`${one.url}/readyz`);
    return response.status === 503 ? await response.text() : undefined;
  });
  assert.notEqual(lacks.trim(), 'ok');
  await shared.startDatabase();
  await until(async () => ((await fetch(`${one.url}/readyz`)).status === 200 ? true : undefined));
  await pushImage(one.basic('ana'), 'ana/after', 'v1');
  // Boards hear each other again, too, without anybody's doing.
  const [ana, ben] = [await one.page('ana'), await two.page('ben')];
  const events = await ben('GET', 'board/events?org=class');
  const reader = events.body?.pipeThrough(new TextDecoderStream()).getReader() ?? assert.fail();
  await reader.read();
  const card = await ana('POST', 'board?org=class', { repository: 'ana/after', tag: 'v1', word: 'again' });
  const { id } = (await card.json()) as { id: number };
  let told = false;
  const telling = until(async () => {
    await ana('POST', `board/reactions?org=class&id=${id}`, { emoji: '👍' });
    return told ? true : undefined;
  });
  assert.match((await reader.read()).value ?? '', /event: post/);
  told = true;
  await telling;
  await reader.cancel();
});

test('passwords of database and bucket are in nobody’s arguments', () => {
  assert.doesNotMatch(readFileSync(`/proc/${one.pid}/cmdline`, 'utf8'), /postgres|S3RVER/);
});
