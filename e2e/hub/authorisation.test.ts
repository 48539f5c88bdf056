import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Ask, type HubUnderTest, hubUnderTest, refusal } from './hub-under-test.ts';
import { blobOf, pushImage, putBlob, putManifest, smallImage } from './small-image.ts';

let hub: HubUnderTest;
before(async () => {
  hub = await hubUnderTest();
  const ana = hub.basic('ana');
  await pushImage(ana, 'ana/public', 'v1');
  await pushImage(ana, 'ana/private', 'v1');
  await setPrivate('ana/private', true);
});
after(() => hub[Symbol.asyncDispose]());

async function setPrivate(name: string, value: boolean): Promise<void> {
  const headers = { 'content-type': 'application/json', 'x-gantry': '1' };
  const signIn = await fetch(`${hub.url}/api/v1/session`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ name: 'ana', password: 'correct horse battery' }),
  });
  const cookie = signIn.headers.get('set-cookie')?.split(';')[0] ?? '';
  const changed = await fetch(`${hub.url}/api/v1/repository?name=${name}`, {
    method: 'PATCH',
    headers: { ...headers, cookie },
    body: JSON.stringify({ private: value }),
  });
  assert.equal(changed.status, 200);
}

/** What each verb answers to one person on one of ana's repositories. */
async function answers(ask: Ask, repository: string): Promise<Readonly<Record<string, string>>> {
  const { layer, manifest } = smallImage(`${repository}:v1`);
  const blob = blobOf(`new in ${repository}`);
  const seen: Record<string, string> = {};
  const note = async (verb: string, response: Promise<Response>) => {
    seen[verb] = await response.then((answer) => (answer.ok ? String(answer.status) : refusal(answer)));
  };
  await note('pull manifest', ask('HEAD', `/v2/${repository}/manifests/v1`));
  await note('pull blob', ask('GET', `/v2/${repository}/blobs/${layer.digest}`).then(discard));
  await note('tags', ask('GET', `/v2/${repository}/tags/list`).then(discard));
  await note('push blob', putBlob(ask, repository, blob));
  await note('push manifest', putManifest(ask, repository, 'v2', manifest));
  await note('mount into it', ask('POST', `/v2/${repository}/blobs/uploads/?mount=${layer.digest}&from=ana/public`));
  await note('delete tag', ask('DELETE', `/v2/${repository}/manifests/v2`));
  await note('delete blob', ask('DELETE', `/v2/${repository}/blobs/${blob.digest}`));
  return seen;
}

async function discard(response: Response): Promise<Response> {
  if (response.ok) await response.arrayBuffer();
  return response;
}

const reading = ['pull manifest', 'pull blob', 'tags'];
const writing = ['push blob', 'push manifest', 'mount into it', 'delete tag', 'delete blob'];
const all = (verbs: readonly string[], answer: string) => Object.fromEntries(verbs.map((verb) => [verb, answer]));
const everything = {
  ...all(reading, '200'),
  'push blob': '201',
  'push manifest': '201',
  'mount into it': '201',
  'delete tag': '202',
  'delete blob': '202',
};

for (const way of ['basic', 'bearer'] as const) {
  test(`${way}: the owner does everything, public or private`, async () => {
    assert.deepEqual(await answers(hub[way]('ana'), 'ana/public'), everything);
    const mounted = { ...everything, 'mount into it': '202' }; // the layer is in the other repository only
    assert.deepEqual(await answers(hub[way]('ana'), 'ana/private'), mounted);
  });

  test(`${way}: others read what is public, and write nothing`, async () => {
    const expected = { ...all(reading, '200'), ...all(writing, '403 DENIED') };
    assert.deepEqual(await answers(hub[way]('ben'), 'ana/public'), expected);
  });

  test(`${way}: to others a private repository is one that does not exist`, async () => {
    const ben = hub[way]('ben');
    const seen = await answers(ben, 'ana/private');
    assert.deepEqual(seen, {
      ...all(reading, '404 NAME_UNKNOWN'),
      'pull manifest': '404',
      ...all(writing, '403 DENIED'),
    });
    assert.deepEqual(await answers(ben, 'ana/absent'), seen);
  });

  test(`${way}: nobody in particular reads what is public, and is asked to log in for the rest`, async () => {
    const nobody = hub[way]();
    assert.deepEqual(await answers(nobody, 'ana/public'), {
      ...all(reading, '200'),
      ...all(writing, '401 UNAUTHORIZED'),
    });
    const seen = await answers(nobody, 'ana/private');
    assert.deepEqual(seen, { ...all([...reading, ...writing], '401 UNAUTHORIZED'), 'pull manifest': '401' });
    assert.deepEqual(await answers(nobody, 'ana/absent'), seen);
  });

  test(`${way}: nothing is mounted out of somebody else's private repository`, async () => {
    const { layer } = smallImage('ana/private:v1');
    for (const query of [`mount=${layer.digest}&from=ana/private`, `mount=${layer.digest}`]) {
      const response = await hub[way]('ben')('POST', `/v2/ben/thief/blobs/uploads/?${query}`);
      assert.equal(response.status, 202);
    }
    const shared = smallImage('ana/public:v1').layer;
    const path = `/v2/ben/honest/blobs/uploads/?mount=${shared.digest}&from=ana/public`;
    assert.equal((await hub[way]('ben')('POST', path)).status, 201);
  });

  test(`${way}: the catalogue shows to each what they may read`, async () => {
    const names = async (ask: Ask) =>
      ((await (await ask('GET', '/v2/_catalog')).json()) as { repositories: string[] }).repositories;
    assert.deepEqual(await names(hub[way]('ben')), ['ana/public']);
    assert.deepEqual(await names(hub[way]()), ['ana/public']);
    assert.equal((await names(hub.basic('ana'))).includes('ana/private'), true);
  });
}

test("somebody else's upload is not there", async () => {
  const begun = await hub.basic('ana')('POST', '/v2/ana/public/blobs/uploads/');
  const location = begun.headers.get('location') ?? '';
  const stolen = location.replace('/ana/public/', '/ben/thief/');
  assert.equal(await refusal(await hub.basic('ben')('GET', stolen)), '404 BLOB_UPLOAD_UNKNOWN');
  assert.equal(await refusal(await hub.basic('ben')('PATCH', location, { body: 'x' })), '403 DENIED');
});

test('a token covers what it names, lasts as long as its account and the password, and asks anew each time', async () => {
  const token = async (scope: string, name?: string) => {
    const ask = hub.basic(name);
    const response = await ask('GET', `/token?service=gantry-hub&scope=${scope}`);
    const answer = (await response.json()) as { token: string; access_token: string; expires_in: number };
    assert.equal(answer.token, answer.access_token);
    assert.ok(answer.expires_in >= 60 && answer.expires_in <= 600);
    return answer.token;
  };
  const pull = (path: string, bearer: string) =>
    fetch(`${hub.url}/v2/${path}`, { headers: { authorization: `Bearer ${bearer}` } });
  const narrow = await token('repository:ana/public:pull,push', 'ana');
  const refused = await pull('ana/private/manifests/v1', narrow);
  assert.match(
    refused.headers.get('www-authenticate') ?? '',
    /scope="repository:ana\/private:pull",error="insufficient_scope"/,
  );
  assert.equal(await refusal(refused), '401 UNAUTHORIZED');

  const forged = `${narrow.slice(0, -4)}AAAA`;
  const invalid = await pull('ana/public/manifests/v1', forged);
  assert.match(invalid.headers.get('www-authenticate') ?? '', /error="invalid_token"/);
  const begetting = await fetch(`${hub.url}/token`, { headers: { authorization: `Bearer ${narrow}` } });
  assert.equal(begetting.status, 401);

  await hub.restart();
  assert.equal((await pull('ana/public/manifests/v1', narrow)).status, 200);

  const guest = await token('repository:ana/public:pull', 'ben');
  await setPrivate('ana/public', true);
  assert.equal(await refusal(await pull('ana/public/manifests/v1', guest)), '404 NAME_UNKNOWN');
  await setPrivate('ana/public', false);

  assert.equal((await hub.user('remove', 'ben')).code, 0);
  assert.equal(await refusal(await pull('ana/public/manifests/v1', guest)), '401 UNAUTHORIZED');
  assert.equal((await hub.user('add', 'ben', '--password-stdin')).code, 0);
  assert.equal(await refusal(await pull('ana/public/manifests/v1', guest)), '401 UNAUTHORIZED');
  assert.equal((await hub.user('passwd', 'ana', '--password-stdin')).code, 0);
  assert.equal(await refusal(await pull('ana/public/manifests/v1', narrow)), '401 UNAUTHORIZED');
});

test('the challenge names the hub as the client reached it, and repeats no bad Host', async () => {
  const port = new URL(hub.url).port;
  const response = await fetch(`http://localhost:${port}/v2/`);
  const expected = `Bearer realm="http://localhost:${port}/token",service="gantry-hub"`;
  assert.equal(response.headers.get('www-authenticate'), expected);
});
