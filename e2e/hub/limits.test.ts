import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hubUnderTest, refusal } from './hub-under-test.ts';
import { blobOf, pushImage, putBlob, putManifest, smallImage } from './small-image.ts';

test('a quota holds for pushes, chunks and mounts, counts a blob once, and is lifted', async () => {
  await using hub = await hubUnderTest();
  const [ana, ben] = [hub.basic('ana'), hub.basic('ben')];
  const big = blobOf(Buffer.alloc(30_000, 'x'));
  const other = blobOf(Buffer.alloc(30_000, 'y'));
  await hub.admin('user', 'quota', 'ana', '--bytes', '50kB', '--repositories', '2');
  assert.equal((await putBlob(ana, 'ana/one', big)).status, 201);
  assert.equal((await putBlob(ana, 'ana/two', big)).status, 201);
  assert.equal(await refusal(await putBlob(ana, 'ana/one', other)), '403 DENIED');
  assert.equal((await ana('HEAD', `/v2/ana/one/blobs/${other.digest}`)).status, 404);
  const begun = await ana('POST', '/v2/ana/one/blobs/uploads/');
  const location = begun.headers.get('location') ?? '';
  assert.equal((await ana('PATCH', location, { body: other.bytes })).status, 202);
  assert.equal(await refusal(await ana('PUT', `${location}?digest=${other.digest}`)), '403 DENIED');
  const anew = await ana('POST', '/v2/ana/one/blobs/uploads/');
  const huge = await ana('PATCH', anew.headers.get('location') ?? '', { body: Buffer.alloc(60_000) });
  assert.equal(await refusal(huge), '403 DENIED', 'more than could ever be held is cut off as it comes');
  assert.equal((await putBlob(ben, 'ben/shared', other)).status, 201);
  const mount = await ana('POST', `/v2/ana/one/blobs/uploads/?mount=${other.digest}&from=ben/shared`);
  assert.equal(await refusal(mount), '403 DENIED');
  assert.equal(await refusal(await putBlob(ana, 'ana/three', blobOf('small'))), '403 DENIED');
  await hub.admin('user', 'quota', 'ana', '--bytes', 'none', '--repositories', 'none');
  assert.equal((await putBlob(ana, 'ana/three', other)).status, 201);
});

test('immutable tags stay: not moved, not deleted, not by their manifest; new ones come', async () => {
  await using hub = await hubUnderTest();
  const ana = hub.basic('ana');
  const image = await pushImage(ana, 'ana/fixed', 'v1');
  await hub.admin('repo', 'immutable', 'ana/fixed', 'on');
  const next = smallImage('the next');
  for (const blob of [next.layer, next.config]) await putBlob(ana, 'ana/fixed', blob);
  assert.equal(await refusal(await putManifest(ana, 'ana/fixed', 'v1', next.manifest)), '409 DENIED');
  assert.equal((await putManifest(ana, 'ana/fixed', 'v1', image.manifest)).status, 201);
  assert.equal((await putManifest(ana, 'ana/fixed', 'v2', next.manifest)).status, 201);
  for (const reference of ['v1', image.manifest.digest])
    assert.equal(await refusal(await ana('DELETE', `/v2/ana/fixed/manifests/${reference}`)), '409 DENIED');
  await hub.admin('repo', 'immutable', 'ana/fixed', 'off');
  assert.equal((await ana('DELETE', '/v2/ana/fixed/manifests/v1')).status, 202);
});

test('with --sign-up invite an account is made by a code, as often as it says', async () => {
  await using hub = await hubUnderTest(['--sign-up', 'invite']);
  const visitor = hub.visitor();
  const signUp = async (name: string, invitation?: string) =>
    (await visitor('POST', 'accounts', { name, password: 'a long password', ...(invitation && { invitation }) }))
      .status;
  assert.equal(await signUp('zoe'), 403);
  assert.equal(await signUp('zoe', 'made up'), 403);
  const code = await hub.admin('user', 'invite', '--uses', '1');
  const statuses = await Promise.all(['zoe', 'yan'].map((name) => signUp(name, code)));
  assert.deepEqual(statuses.sort(), [201, 403]);
  assert.equal(await signUp('xia', code), 403);
  assert.equal(
    (await hub.admin('user', 'list')).split('\n').length,
    4,
    'the one that came too late is not left behind',
  );
});

test('an invitation to a class makes a member; the last owner stays; who leaves is out of its teams', async () => {
  await using hub = await hubUnderTest();
  const [ana, ben] = [await hub.page('ana'), await hub.page('ben')];
  assert.equal((await ana('POST', 'organisations', { name: 'class-1' })).status, 201);
  assert.equal((await ben('POST', 'organisations', { name: 'class-1' })).status, 409);
  const invited = await ana('POST', 'organisation/invitations?org=class-1', { role: 'contributor', uses: 1, days: 1 });
  const { code } = (await invited.json()) as { code: string };
  const joined = (await (await ben('POST', 'invitation', { code })).json()) as { account: { organisations: object[] } };
  assert.deepEqual(joined.account.organisations, [{ name: 'class-1', role: 'contributor' }]);
  assert.equal((await ben('POST', 'invitation', { code })).status, 403);
  assert.equal((await putBlob(hub.basic('ben'), 'class-1/shared', blobOf('by ben'))).status, 201);
  assert.equal((await ana('DELETE', 'organisation/member?org=class-1&name=ana')).status, 409);
  assert.equal((await ana('PUT', 'organisation/member?org=class-1', { name: 'ana', role: 'reader' })).status, 409);
  assert.equal((await ben('DELETE', 'organisation/member?org=class-1&name=ben')).status, 204);
  assert.equal((await putBlob(hub.basic('ben'), 'class-1/shared', blobOf('again'))).status, 403);
  const records = (await (await ana('GET', 'organisation/audit?org=class-1')).json()) as {
    entries: { actor: string; action: string }[];
  };
  const seen = records.entries.map(({ actor, action }) => `${actor} ${action}`);
  assert.deepEqual(seen, ['ben member.remove', 'ana invitation.create', 'ana org.create']);
});

test('a token expires, is used once noted, and the audit log tells of refused logins', async () => {
  await using hub = await hubUnderTest();
  const secret = await hub.admin('token', 'add', 'ana', 'ci', '--scope', 'read', '--days', '1');
  assert.match(await hub.admin('token', 'list', 'ana'), /ci +read +all +20\S+ +never$/m);
  assert.equal((await hub.basic('ana', secret)('GET', '/v2/')).status, 200);
  assert.match(await hub.admin('token', 'list', 'ana'), /ci +read +all +20\S+ +20\S+$/m);
  assert.equal((await hub.basic('ana', `${secret.slice(0, -1)}_`)('GET', '/v2/')).status, 401);
  await hub.admin('user', 'admin', 'ana', 'on');
  const page = await hub.page('ana');
  const { entries } = (await (await page('GET', 'admin/audit')).json()) as {
    entries: { action: string; actor: string; address: string }[];
  };
  assert.ok(
    entries.some(({ action, actor, address }) => action === 'login.refused' && actor === 'ana' && address !== ''),
  );
  assert.ok(entries.some(({ action, actor }) => action === 'token.create' && actor === '(command line)'));
});
