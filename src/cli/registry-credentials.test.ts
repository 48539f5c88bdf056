import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, test } from 'node:test';
import {
  allCredentials,
  authHeader,
  credentialsFor,
  eraseCredentials,
  storeCredentials,
} from './registry-credentials.ts';

const root = mkdtempSync(`${tmpdir()}/gantry-credentials-`);
after(() => rmSync(root, { recursive: true, force: true }));
let count = 0;
const directory = () => `${root}/${count++}`;
const stored = (at: string) => JSON.parse(readFileSync(`${at}/config.json`, 'utf8'));

test('storeCredentials writes a file that only its owner reads, and keeps what it does not know', async () => {
  const at = directory();
  assert.equal(await storeCredentials(at, 'hub:5000', { username: 'ana', password: 'p:w' }), true);
  assert.equal(statSync(`${at}/config.json`).mode & 0o777, 0o600);
  assert.deepEqual(stored(at).auths, { 'hub:5000': { auth: Buffer.from('ana:p:w').toString('base64') } });
  writeFileSync(`${at}/config.json`, JSON.stringify({ ...stored(at), psFormat: 'table' }));
  await storeCredentials(at, 'other', { username: 'ben', password: 'x' });
  assert.equal(stored(at).psFormat, 'table');
  assert.deepEqual(await credentialsFor(at, 'hub:5000'), {
    username: 'ana',
    password: 'p:w',
    serveraddress: 'hub:5000',
  });
  assert.deepEqual(Object.keys(await allCredentials(at)), ['hub:5000', 'other']);
  await eraseCredentials(at, 'hub:5000');
  assert.equal(await credentialsFor(at, 'hub:5000'), undefined);
  assert.notEqual(await credentialsFor(at, 'other'), undefined);
});

test('credentialsFor finds Docker Hub under its old address, and entries written with a scheme', async () => {
  const at = directory();
  await storeCredentials(at, 'https://index.docker.io/v1/', { username: 'a', password: 'b' });
  assert.equal((await credentialsFor(at, 'docker.io'))?.username, 'a');
  const auth = Buffer.from('u:p').toString('base64');
  writeFileSync(`${at}/config.json`, JSON.stringify({ auths: { 'https://hub.example/v2/': { auth } } }));
  assert.equal((await credentialsFor(at, 'hub.example'))?.password, 'p');
});

test('a config file that is a link stays one; one that is no JSON is named', async () => {
  const at = directory();
  await storeCredentials(at, 'a', { username: 'a', password: 'b' });
  const real = `${root}/real.json`;
  writeFileSync(real, '{}');
  rmSync(`${at}/config.json`);
  symlinkSync(real, `${at}/config.json`);
  await storeCredentials(at, 'b', { username: 'a', password: 'b' });
  assert.ok(JSON.parse(readFileSync(real, 'utf8')).auths.b);
  writeFileSync(real, '[');
  await assert.rejects(credentialsFor(at, 'b'), { message: /config\.json cannot be read/ });
});

test('a credential helper is asked, told and obeyed', async () => {
  const at = directory();
  const store = `${root}/helper-store`;
  const helper = `${root}/docker-credential-gttest`;
  writeFileSync(
    helper,
    `#!/bin/sh
case $1 in
  store) cat > ${store};;
  get) cat > /dev/null; [ -f ${store} ] || { echo 'credentials not found in native keychain'; exit 1; }; cat ${store};;
  erase) rm ${store};;
esac
`,
  );
  chmodSync(helper, 0o755);
  const path = process.env.PATH;
  process.env.PATH = `${root}:${path}`;
  try {
    await storeCredentials(at, 'x', { username: 'x', password: 'x' }); // makes the folder
    writeFileSync(`${at}/config.json`, JSON.stringify({ credsStore: 'gttest' }));
    assert.equal(await credentialsFor(at, 'hub'), undefined);
    assert.equal(await storeCredentials(at, 'hub', { username: 'ana', password: 'pw' }), false);
    assert.deepEqual(stored(at).auths, { hub: {} });
    assert.deepEqual(await credentialsFor(at, 'hub'), { username: 'ana', password: 'pw', serveraddress: 'hub' });
    await eraseCredentials(at, 'hub');
    assert.equal(await credentialsFor(at, 'hub'), undefined);
    writeFileSync(`${at}/config.json`, JSON.stringify({ credsStore: 'gt-is-not-there' }));
    await assert.rejects(credentialsFor(at, 'hub'), { message: /docker-credential-gt-is-not-there cannot be run/ });
    writeFileSync(`${at}/config.json`, JSON.stringify({ credsStore: '../evil' }));
    await assert.rejects(credentialsFor(at, 'hub'), { message: /cannot be the name/ });
  } finally {
    process.env.PATH = path;
  }
});

test('authHeader is base64url with padding, as Go insists', () => {
  assert.equal(
    authHeader({ a: '\u00ff\u00ff>' }),
    Buffer.from('{"a":"\u00ff\u00ff>"}').toString('base64').replaceAll('+', '-').replaceAll('/', '_'),
  );
  assert.equal(authHeader({}), 'e30=');
});
