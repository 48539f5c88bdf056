// Every endpoint × every kind of caller × public and private: what must be answered follows from one small table of
// rights, and every cell is asked of a serving hub. In one cell nothing but the caller differs from the next.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { mediaTypes } from '#oci/index.ts';
import { type Ask, type HubUnderTest, hubUnderTest } from './hub-under-test.ts';
import { blobOf, pushImage, putBlob, putManifest, smallImage, smallIndex } from './small-image.ts';

type Right = 'pull' | 'create' | 'overwrite' | 'delete' | 'manage';
const upTo = (last: Right): readonly Right[] => {
  const all: readonly Right[] = ['pull', 'create', 'overwrite', 'delete', 'manage'];
  return all.slice(0, all.indexOf(last) + 1);
};

/** Rights in the organisation `school`, by who asks; a token's name says whose it is and what it may. */
const callers: Readonly<Record<string, readonly Right[] | 'nobody'>> = {
  nobody: 'nobody',
  stranger: [],
  reader: upTo('pull'),
  contributor: upTo('create'),
  writer: upTo('delete'),
  owner: upTo('manage'),
  'team writer': upTo('delete'),
  'owner with a token to read': upTo('pull'),
  'owner with a token to create': upTo('create'),
  'owner with a token to write': upTo('overwrite'),
  'owner with a token to delete': upTo('delete'),
  'owner with a token for another repository': [],
  'reader with a token to delete': upTo('pull'),
};

interface Endpoint {
  readonly needs: Right;
  /** The status where it is allowed. */
  readonly done: number;
  ask(caller: Ask, name: string): Promise<Response>;
  /** What must be there before. */
  prepare?(name: string): Promise<unknown>;
}

let hub: HubUnderTest;
let owner: Ask;
const asks = new Map<string, Ask>();
const image = smallImage('the image');
const other = smallImage('another image');
const extra = blobOf('an extra blob');

const endpoints: Readonly<Record<string, Endpoint>> = {
  'GET manifest by tag': { needs: 'pull', done: 200, ask: (ask, name) => ask('GET', `/v2/${name}/manifests/v1`) },
  'HEAD manifest by digest': {
    needs: 'pull',
    done: 200,
    ask: (ask, name) => ask('HEAD', `/v2/${name}/manifests/${image.manifest.digest}`),
  },
  'GET blob': { needs: 'pull', done: 200, ask: (ask, name) => ask('GET', `/v2/${name}/blobs/${image.layer.digest}`) },
  'HEAD blob': { needs: 'pull', done: 200, ask: (ask, name) => ask('HEAD', `/v2/${name}/blobs/${image.layer.digest}`) },
  'GET tags': { needs: 'pull', done: 200, ask: (ask, name) => ask('GET', `/v2/${name}/tags/list`) },
  'GET referrers': {
    needs: 'pull',
    done: 200,
    ask: (ask, name) => ask('GET', `/v2/${name}/referrers/${image.manifest.digest}`),
  },
  'POST upload': { needs: 'create', done: 202, ask: (ask, name) => ask('POST', `/v2/${name}/blobs/uploads/`) },
  'POST whole blob': { needs: 'create', done: 201, ask: (ask, name) => putBlob(ask, name, extra) },
  'POST mount': {
    needs: 'create',
    done: 201,
    ask: (ask, name) => ask('POST', `/v2/${name}/blobs/uploads/?mount=${image.layer.digest}&from=school/public`),
  },
  'PUT new tag': {
    needs: 'create',
    done: 201,
    prepare: (name) => owner('DELETE', `/v2/${name}/manifests/fresh`),
    ask: (ask, name) => putManifest(ask, name, 'fresh', image.manifest),
  },
  'PUT the same tag again': {
    needs: 'create',
    done: 201,
    ask: (ask, name) => putManifest(ask, name, 'v1', image.manifest),
  },
  'PUT tag that moves': {
    needs: 'overwrite',
    done: 201,
    prepare: (name) => putManifest(owner, name, 'moving', image.manifest),
    ask: (ask, name) => putManifest(ask, name, 'moving', other.manifest),
  },
  'PUT manifest by digest': {
    needs: 'create',
    done: 201,
    ask: (ask, name) => putManifest(ask, name, image.manifest.digest, image.manifest),
  },
  'PUT index': {
    needs: 'create',
    done: 201,
    prepare: (name) => owner('DELETE', `/v2/${name}/manifests/index`),
    ask: (ask, name) => putManifest(ask, name, 'index', smallIndex([image.manifest]), mediaTypes.ociIndex),
  },
  'DELETE tag': {
    needs: 'delete',
    done: 202,
    prepare: (name) => putManifest(owner, name, 'doomed', image.manifest),
    ask: (ask, name) => ask('DELETE', `/v2/${name}/manifests/doomed`),
  },
  'DELETE blob': {
    needs: 'delete',
    done: 202,
    prepare: (name) => putBlob(owner, name, extra),
    ask: (ask, name) => ask('DELETE', `/v2/${name}/blobs/${extra.digest}`),
  },
};

function expected(rights: readonly Right[] | 'nobody', { needs, done }: Endpoint, isPrivate: boolean): number {
  if (needs === 'pull' && !isPrivate) return done;
  if (rights === 'nobody') return 401;
  if (rights.includes(needs)) return done;
  return needs === 'pull' ? 404 : 403;
}

before(async () => {
  hub = await hubUnderTest();
  const people = ['stranger', 'reader', 'contributor', 'writer', 'owner', 'teamster'];
  await Promise.all(people.map((name) => hub.user('add', name, '--password-stdin')));
  owner = hub.basic('owner', 'a long password');
  await hub.admin('org', 'add', 'school', 'owner');
  for (const role of ['reader', 'contributor', 'writer']) await hub.admin('org', 'member', 'school', role, role);
  await hub.admin('org', 'member', 'school', 'teamster', 'reader');
  for (const name of ['school/public', 'school/private', 'school/another']) {
    await pushImage(owner, name, 'v1', image);
    await pushImage(owner, name, 'other', other);
  }
  const page = await hub.page('owner');
  const must = async (method: string, path: string, body: unknown) => {
    const response = await page(method, path, body);
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.text()}`);
  };
  await must('PATCH', 'repository?name=school/private', { private: true });
  await must('POST', 'organisation/teams?org=school', { name: 'writers' });
  await must('PUT', 'organisation/team-member?org=school', { team: 'writers', name: 'teamster', member: true });
  for (const repository of ['school/public', 'school/private'])
    await must('PUT', 'organisation/team-grant?org=school', { team: 'writers', repository, role: 'writer' });

  asks.set('nobody', hub.basic());
  for (const name of people) asks.set(name, hub.basic(name, 'a long password'));
  asks.set('team writer', asks.get('teamster') ?? assert.fail());
  const token = async (name: string, account: string, ...flags: string[]) =>
    asks.set(name, hub.basic(account, await hub.admin('token', 'add', account, name, ...flags)));
  for (const scope of ['read', 'create', 'write', 'delete'])
    await token(`owner with a token to ${scope}`, 'owner', '--scope', scope);
  const another = ['--scope', 'delete', '--repository', 'school/another'];
  await token('owner with a token for another repository', 'owner', ...another);
  await token('reader with a token to delete', 'reader', '--scope', 'delete');
});
after(() => hub[Symbol.asyncDispose]());

for (const [caller, rights] of Object.entries(callers)) {
  describe(caller, () => {
    for (const visibility of ['public', 'private'] as const) {
      test(`on what is ${visibility}`, async () => {
        const ask = asks.get(caller) ?? assert.fail();
        const name = `school/${visibility}`;
        const seen: Record<string, number> = {};
        const wanted: Record<string, number> = {};
        for (const [title, endpoint] of Object.entries(endpoints)) {
          await (await (endpoint.prepare?.(name) as Promise<Response | undefined>))?.body?.cancel();
          const response = await endpoint.ask(ask, name);
          await response.body?.cancel();
          seen[title] = response.status;
          wanted[title] = expected(rights, endpoint, visibility === 'private');
        }
        assert.deepEqual(seen, wanted);
      });
    }
  });
}

test('the pages: each endpoint × each role', async () => {
  type Standing = 'nobody' | 'stranger' | 'reader' | 'contributor' | 'writer' | 'owner';
  const standings: readonly Standing[] = ['stranger', 'reader', 'contributor', 'writer', 'owner'];
  const members = standings.slice(1);
  const anyone: readonly Standing[] = [];
  /** What is asked, who may, what they are answered, and what others are who are signed in. */
  const rows: readonly (readonly [string, string, unknown, readonly Standing[], number, number])[] = [
    ['GET', 'repository?name=school/private', undefined, members, 200, 404],
    ['GET', 'image?name=school/private&reference=v1', undefined, members, 200, 404],
    ['PATCH', 'repository?name=school/private', { private: true }, ['owner'], 200, 403],
    ['DELETE', 'tag?name=school/private&tag=absent', undefined, ['writer', 'owner'], 404, 403],
    ['DELETE', 'repository?name=school/absent', undefined, ['owner'], 404, 403],
    ['GET', 'organisation?org=school', undefined, members, 200, 404],
    ['PATCH', 'organisation?org=school', { about: 'a school' }, ['owner'], 204, 403],
    ['PUT', 'organisation/member?org=school', { name: 'reader', role: 'reader' }, ['owner'], 204, 403],
    ['DELETE', 'organisation/member?org=school&name=absent', undefined, ['owner'], 404, 403],
    ['POST', 'organisation/invitations?org=school', { role: 'reader', uses: 1, days: 1 }, ['owner'], 201, 403],
    ['POST', 'organisation/teams?org=school', { name: 'writers' }, ['owner'], 409, 403],
    ['PUT', 'organisation/team-grant?org=school', { team: 'writers', repository: 'school/no' }, ['owner'], 404, 403],
    ['GET', 'organisation/audit?org=school', undefined, ['owner'], 200, 403],
    ['GET', 'board?org=school', undefined, members, 200, 404],
    ['POST', 'board?org=school', { repository: 'school/private', tag: 'v1', word: 'look' }, members, 201, 404],
    ['GET', 'board/events?org=school', undefined, members, 200, 404],
    ['GET', 'admin/accounts', undefined, anyone, 200, 403],
    ['PATCH', 'admin/account?name=reader', { admin: true }, anyone, 204, 403],
    ['DELETE', 'admin/account?name=reader', undefined, anyone, 204, 403],
    ['POST', 'admin/invitations', { uses: 1, days: 1 }, anyone, 201, 403],
    ['GET', 'admin/audit', undefined, anyone, 200, 403],
  ];
  const seen: string[] = [];
  const wanted: string[] = [];
  for (const standing of ['nobody', ...standings] as const) {
    const ask = standing === 'nobody' ? hub.visitor() : await hub.page(standing);
    for (const [method, path, body, may, done, otherwise] of rows) {
      const response = await ask(method, path, body);
      await response.body?.cancel();
      seen.push(`${standing}: ${method} ${path}: ${response.status}`);
      // A private repository, and to who is outside it an organisation, is not there at all.
      const outside = standing === 'stranger' && path.startsWith('organisation') ? 404 : otherwise;
      const status = may.includes(standing) ? done : standing === 'nobody' ? 401 : outside;
      wanted.push(`${standing}: ${method} ${path}: ${status}`);
    }
  }
  assert.deepEqual(seen, wanted);
});

test('zot CVE-2024-39897: a mount is decided at both ends, so nothing comes out of what one may not read', async () => {
  const secret = await pushImage(owner, 'school/private', 'secret', smallImage('a secret layer'));
  const stranger = asks.get('stranger') ?? assert.fail();
  for (const query of [`mount=${secret.layer.digest}&from=school/private`, `mount=${secret.layer.digest}`]) {
    const response = await stranger('POST', `/v2/stranger/thief/blobs/uploads/?${query}`);
    assert.equal(response.status, 202, query);
    assert.equal((await stranger('HEAD', `/v2/stranger/thief/blobs/${secret.layer.digest}`)).status, 404);
  }
  const reader = asks.get('reader') ?? assert.fail();
  const into = await reader(
    'POST',
    `/v2/school/public/blobs/uploads/?mount=${secret.layer.digest}&from=school/private`,
  );
  assert.equal(into.status, 403);
  const mine = await reader('POST', `/v2/reader/mine/blobs/uploads/?mount=${secret.layer.digest}&from=school/private`);
  assert.equal(mine.status, 201);
  const narrow = asks.get('owner with a token for another repository') ?? assert.fail();
  const out = await narrow(
    'POST',
    `/v2/school/another/blobs/uploads/?mount=${secret.layer.digest}&from=school/private`,
  );
  assert.equal(out.status, 202);
});

test('zot CVE-2025-23208: rights are those of this moment; a role taken away takes effect on what was issued before', async () => {
  const bearerOf = async (ask: Ask) => {
    const scope = 'repository:school/private:pull,push';
    const { token } = (await (await ask('GET', `/token?service=gantry-hub&scope=${scope}`)).json()) as {
      token: string;
    };
    return (method: string, path: string) =>
      fetch(`${hub.url}${path}`, { method, headers: { authorization: `Bearer ${token}` } });
  };
  assert.equal((await hub.user('add', 'guest', '--password-stdin')).code, 0);
  await hub.admin('org', 'member', 'school', 'guest', 'writer');
  const guest = await bearerOf(hub.basic('guest', 'a long password'));
  const [pull, push] = ['/v2/school/private/manifests/v1', '/v2/school/private/blobs/uploads/'];
  assert.equal((await guest('GET', pull)).status, 200);
  assert.equal((await guest('POST', push)).status, 202);
  await hub.admin('org', 'member', 'school', 'guest', 'reader');
  assert.equal((await guest('GET', pull)).status, 200);
  assert.equal((await guest('POST', push)).status, 403);
  await hub.admin('org', 'member', 'school', 'guest', '--remove');
  assert.equal((await guest('GET', pull)).status, 404);

  const secret = await hub.admin('token', 'add', 'owner', 'short', '--scope', 'write');
  const machine = await bearerOf(hub.basic('owner', secret));
  assert.equal((await machine('GET', pull)).status, 200);
  const id = /^(\d+) +short/m.exec(await hub.admin('token', 'list', 'owner'))?.[1] ?? assert.fail();
  await hub.admin('token', 'revoke', 'owner', id);
  assert.equal((await machine('GET', pull)).status, 401);
});

test('zot CVE-2026-31801: to create never implies to overwrite, not even for many at once', async () => {
  const contributor = asks.get('contributor') ?? assert.fail();
  const images = [image, other];
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, i) =>
      putManifest(contributor, 'school/public', 'contested', images[i % 2]?.manifest ?? image.manifest),
    ),
  );
  const statuses = answers.map(({ status }) => status);
  const won = await contributor('HEAD', '/v2/school/public/manifests/contested');
  const winner = won.headers.get('docker-content-digest');
  for (const [i, status] of statuses.entries())
    assert.equal(status, images[i % 2]?.manifest.digest === winner ? 201 : 403, statuses.join(' '));
  assert.equal((await contributor('DELETE', '/v2/school/public/manifests/contested')).status, 403);
});

test('a token opens no page, begets no identity token, and is worth nothing with another name', async () => {
  const secret = await hub.admin('token', 'add', 'owner', 'machine', '--scope', 'delete');
  const page = await fetch(`${hub.url}/api/v1/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-gantry': '1' },
    body: JSON.stringify({ name: 'owner', password: secret }),
  });
  assert.equal(page.status, 403);
  const answer = await hub.basic('owner', secret)('GET', '/token?service=gantry-hub&offline_token=true');
  assert.equal('refresh_token' in ((await answer.json()) as object), false);
  assert.equal((await hub.basic('stranger', secret)('GET', '/v2/')).status, 401);
});
