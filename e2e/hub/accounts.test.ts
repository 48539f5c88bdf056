import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gantryProgram, run } from '../harness/program.ts';
import { hubUnderTest, refusal } from './hub-under-test.ts';
import { pushImage } from './small-image.ts';

test('hub user makes, lists, changes and removes accounts while the hub runs', async () => {
  await using hub = await hubUnderTest();
  const status = async (name: string, password: string) => (await hub.basic(name, password)('GET', '/v2/')).status;
  assert.equal(await status('zoe', 'a long password'), 401);
  assert.equal((await hub.user('add', 'zoe', '--password-stdin')).code, 0);
  assert.equal(await status('zoe', 'a long password'), 200);
  await pushImage(hub.basic('zoe', 'a long password'), 'zoe/thing', 'v1');

  const again = await hub.user('add', 'zoe', '--password-stdin');
  assert.equal(again.code, 1);
  assert.match(again.stderr, /"zoe" exists already/);
  assert.match((await hub.user('list')).stdout, /^zoe +1 +20/m);

  const passwd = ['hub', 'user', 'passwd', 'zoe', '--password-stdin', '--data-root', hub.root];
  const changed = await run(gantryProgram, passwd, { input: 'another password' });
  assert.equal(changed.code, 0, changed.stderr);
  assert.equal(await status('zoe', 'a long password'), 401);
  assert.equal(await status('zoe', 'another password'), 200);

  assert.match((await hub.user('remove', 'zoe')).stdout, /1 repositories/);
  assert.equal(await status('zoe', 'another password'), 401);
  assert.equal((await hub.basic('ana')('GET', '/v2/zoe/thing/manifests/v1')).status, 404);
  assert.match((await hub.user('remove', 'zoe')).stderr, /no account "zoe"/);
});

test('hub user refuses bad names, short passwords and half commands, and says why', async () => {
  await using hub = await hubUnderTest();
  const said = async (input: string, ...args: string[]) => {
    const outcome = await run(gantryProgram, ['hub', 'user', ...args, '--data-root', hub.root], { input });
    assert.equal(outcome.code, 1);
    return outcome.stderr;
  };
  assert.match(await said('long enough', 'add', 'Zoe', '--password-stdin'), /"Zoe" may hold lowercase/);
  assert.match(await said('long enough', 'add', 'admin', '--password-stdin'), /"admin" is reserved/);
  assert.match(await said('short', 'add', 'zoe', '--password-stdin'), /at least 8/);
  assert.match(await said('', 'add', 'zoe'), /--password-stdin/);
  assert.match(await said('', 'add', '--password-stdin'), /one name/);
  assert.match(await said('', 'rename', 'zoe'), /"rename" is no command/);
});

test('the token endpoint takes passwords and refresh tokens as OAuth2 does', async () => {
  await using hub = await hubUnderTest();
  const post = (form: Readonly<Record<string, string>>) =>
    fetch(`${hub.url}/token`, {
      method: 'POST',
      body: new URLSearchParams({ service: 'gantry-hub', client_id: 'test', ...form }),
    });
  const password = 'correct horse battery';
  const first = await post({
    grant_type: 'password',
    username: 'ana',
    password,
    access_type: 'offline',
    scope: 'repository:ana/x:pull,push repository:ben/y:pull,push',
  });
  const granted = (await first.json()) as { access_token: string; refresh_token: string; scope: string };
  assert.equal(granted.scope, 'repository:ana/x:pull,push repository:ben/y:pull');
  const use = (token: string) =>
    fetch(`${hub.url}/v2/ana/x/blobs/uploads/`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
  assert.equal((await use(granted.access_token)).status, 202);

  const renew = () =>
    post({ grant_type: 'refresh_token', refresh_token: granted.refresh_token, scope: 'repository:ana/x:push' });
  const renewed = (await (await renew()).json()) as { access_token: string };
  assert.equal((await use(renewed.access_token)).status, 202);
  assert.equal((await use(granted.refresh_token)).status, 401);

  for (const form of [
    { grant_type: 'password', username: 'ana', password: 'wrong' },
    { grant_type: 'refresh_token', refresh_token: 'wrong' },
  ]) {
    const refused = await post(form);
    assert.equal(refused.status, 401);
    assert.equal(((await refused.json()) as { error: string }).error, 'invalid_grant');
  }
  assert.equal((await post({ grant_type: 'nothing' })).status, 400);
  assert.equal((await post({ grant_type: 'password', scope: 'x'.repeat(20_000) })).status, 413);

  const offline = await hub.basic('ana')('GET', '/token?service=gantry-hub&offline_token=true');
  assert.equal(typeof ((await offline.json()) as { refresh_token?: string }).refresh_token, 'string');
  assert.equal((await hub.user('passwd', 'ana', '--password-stdin')).code, 0);
  assert.equal((await renew()).status, 401);
});

test('a wrong password and an unknown account are answered alike; repeated ones wait, others do not', async () => {
  await using hub = await hubUnderTest();
  const attempt = async (name: string) => await hub.basic(name, 'wrong')('GET', '/token');
  const text = async (name: string) => {
    const response = await attempt(name);
    return `${response.status} ${response.headers.get('www-authenticate')} ${await response.text()}`;
  };
  assert.equal(await text('ana'), await text('nobody'));
  assert.equal(await refusal(await hub.basic('ana', 'wrong')('GET', '/v2/')), '401 UNAUTHORIZED');
  const many = await Promise.all(Array.from({ length: 12 }, (_, i) => hub.basic('ana', `wrong${i}`)('GET', '/token')));
  const slowed = many.filter(({ status }) => status === 429);
  assert.ok(slowed.length >= 7, `${slowed.length} of 12 were slowed down`);
  assert.match(slowed[0]?.headers.get('retry-after') ?? '', /^\d+$/);
  assert.equal((await hub.basic('ben')('GET', '/v2/')).status, 200);
  assert.equal((await attempt('ana')).status, 429);
});

test('with --sign-up closed, only whoever runs the hub makes accounts', async () => {
  await using hub = await hubUnderTest(['--sign-up', 'closed']);
  const response = await fetch(`${hub.url}/api/v1/accounts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-gantry': '1' },
    body: JSON.stringify({ name: 'zoe', password: 'long enough' }),
  });
  assert.equal(response.status, 403);
  assert.match(((await response.json()) as { message: string }).message, /sign-up is closed/);
});
