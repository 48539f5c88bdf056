import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createAccessTokens } from './access-tokens.ts';
import { createAccounts } from './accounts.ts';
import { createCredentials } from './credentials.ts';
import { createLoginThrottle } from './login-throttle.ts';
import { verifyPassword } from './password.ts';
import { createPersonalTokens } from './personal-tokens.ts';
import { openSqliteDatabase } from './sqlite-database.ts';

const setUp = async (t: TestContext) => {
  const root = mkdtempSync(join(tmpdir(), 'gantry-accounts-'));
  const db = await openSqliteDatabase(`${root}/hub.db`);
  t.after(async () => {
    await db[Symbol.asyncDispose]();
    rmSync(root, { recursive: true });
  });
  const checked: string[] = [];
  const verify = (password: string, hash: string) => {
    checked.push(hash.replace(/\$[^$]+\$[^$]+$/, ''));
    return verifyPassword(password, hash);
  };
  return { db, checked, accounts: createAccounts({ db }, { verify }) };
};

test('createAccounts: an unknown account costs the same work as a wrong password, and answers the same', async (t) => {
  const { accounts, checked } = await setUp(t);
  await accounts.create('ana', 'correct horse');
  const refusals: unknown[] = [];
  for (const name of ['ana', 'nobody'])
    await accounts.login(name, 'wrong', '192.0.2.1').catch((error: unknown) => refusals.push(String(error)));
  assert.equal(refusals.length, 2);
  assert.equal(refusals[0], refusals[1]);
  assert.equal(checked.length, 2);
  assert.equal(checked[0], checked[1]);
  assert.match(checked[0] ?? '', /^\$argon2id\$v=19\$m=19456,t=2,p=1$/);
});

test('createAccounts: a login that was right a moment ago is not hashed again, until the password changes', async (t) => {
  const { accounts, checked } = await setUp(t);
  await accounts.create('ana', 'correct horse');
  const login = (password: string) => accounts.login('ana', password, '192.0.2.1');
  const found = await Promise.all([login('correct horse'), login('correct horse')]);
  assert.deepEqual(found[0], found[1]);
  await login('correct horse');
  assert.equal(checked.length, 1);
  await accounts.changePassword('ana', 'battery staple');
  await assert.rejects(login('correct horse'), { code: 'login-wrong' });
  assert.equal((await login('battery staple')).passwordVersion, 2);
});

test('createAccounts: names and passwords have rules', async (t) => {
  const { accounts } = await setUp(t);
  for (const name of ['a', 'Ana', 'a'.repeat(40), '-ana', 'ana-', 'a--b', 'a/b', 'a.b', 'admin', 'v2', ''])
    await assert.rejects(accounts.create(name, 'long enough'), { kind: 'invalid', code: 'account-name-invalid' }, name);
  for (const password of ['1234567', '', '🦊🦊🦊🦊🦊🦊🦊', 'x'.repeat(1025)])
    await assert.rejects(accounts.create('ana', password), { kind: 'invalid', code: 'password-invalid' });
  await accounts.create('ana-b_2', 'long enough');
  await assert.rejects(accounts.create('ana-b_2', 'long enough'), { kind: 'conflict' });
  await accounts.create('zoe', 'ǆ normal form');
  await accounts.login('zoe', 'ǆ normal form'.normalize('NFC'), '192.0.2.1');
});

test('createAccounts: who comes after a removed account is somebody else', async (t) => {
  const { db, accounts } = await setUp(t);
  const tokens = await createAccessTokens({ db, accounts, personalTokens: createPersonalTokens({ db, accounts }) });
  const credentials = createCredentials({ db, accounts });
  const before = await accounts.create('ana', 'correct horse');
  const { token } = tokens.issue({ account: before }, []);
  const secret = await credentials.issue(before, 'session');
  assert.equal((await tokens.read(token)).account?.id, before.id);
  assert.equal((await credentials.read(secret, 'session'))?.id, before.id);
  assert.equal(await credentials.read(secret, 'refresh'), undefined);
  await accounts.remove('ana');
  const after = await accounts.create('ana', 'correct horse');
  assert.notEqual(after.id, before.id);
  await assert.rejects(tokens.read(token), { code: 'token-invalid' });
  assert.equal(await credentials.read(secret, 'session'), undefined);
});

test('createAccessTokens: a token expires and cannot be changed', async (t) => {
  const { db, accounts } = await setUp(t);
  const account = await accounts.create('ana', 'correct horse');
  let time = Date.now();
  const personalTokens = createPersonalTokens({ db, accounts });
  const tokens = await createAccessTokens({ db, accounts, personalTokens }, { now: () => time });
  const { token, expiresIn } = tokens.issue({ account }, [{ type: 'repository', name: 'ana/x', actions: ['pull'] }]);
  const [head = '', body = '', signature = ''] = token.split('.');
  const wider = Buffer.from(body, 'base64url').toString().replace('pull', 'push');
  for (const bad of [
    `${head}.${Buffer.from(wider).toString('base64url')}.${signature}`,
    `${head}.${body}.`,
    `${head}.${body}`,
    '',
    'x',
  ])
    await assert.rejects(tokens.read(bad), { code: 'token-invalid' });
  time += expiresIn * 1000;
  await assert.rejects(tokens.read(token), { code: 'token-invalid' });
});

test('createLoginThrottle: waits grow with failures, end, and hold nobody else up', () => {
  let time = 0;
  const throttle = createLoginThrottle({ now: () => time });
  const fail = (account = 'ana', address = '192.0.2.1') => throttle.begin(account, address);
  for (let i = 0; i < 5; i++) fail();
  assert.throws(() => fail(), { code: 'login-throttled', retryAfter: 1 });
  fail('ana', '192.0.2.2');
  fail('ben');
  const waits: number[] = [];
  for (let i = 0; i < 9; i++) {
    try {
      fail();
    } catch (error) {
      const { retryAfter } = error as { retryAfter: number };
      waits.push(retryAfter);
      time += retryAfter * 1000;
      fail();
    }
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
  time += 60_000;
  fail().succeeded();
  for (let i = 0; i < 5; i++) fail();
});

test('createLoginThrottle: guesses at many names from one address are slowed down', () => {
  const throttle = createLoginThrottle({ now: () => 0 });
  for (let i = 0; i < 50; i++) throttle.begin(`name${i}`, '192.0.2.1');
  assert.throws(() => throttle.begin('another', '192.0.2.1'), { code: 'login-throttled' });
  throttle.begin('another', '192.0.2.2');
});
