import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHubOptions, parseListen, parseMirrorHost } from './options.ts';
import { readStorageOptions } from './storage-options.ts';

test('parseListen reads addresses with ports and names what is none', () => {
  assert.deepEqual(parseListen('127.0.0.1:5000'), { host: '127.0.0.1', port: 5000 });
  assert.deepEqual(parseListen('[::1]:0'), { host: '::1', port: 0 });
  assert.deepEqual(parseListen(':5000'), { host: '::', port: 5000 });
  for (const bad of ['127.0.0.1', '5000', 'host:99999', '::1:5000', '[nothing]:1', 'a:b'])
    assert.throws(() => parseListen(bad), { kind: 'invalid', message: new RegExp(bad.replace(/[[\]]/g, '\\$&')) });
});

test('parseHubOptions refuses half a TLS pair and unknown words', () => {
  assert.throws(() => parseHubOptions(['--tls-cert', 'x']), /--tls-key/);
  assert.throws(() => parseHubOptions(['--sign-up', 'maybe']), /"maybe"/);
  assert.throws(() => parseHubOptions(['--nonsense']), /--nonsense/);
  assert.ok('help' in parseHubOptions(['--help']));
});

test('parseMirrorHost reads a host name and a namespace and names what is none', () => {
  assert.deepEqual(parseMirrorHost('Mirror.Example=dockerhub'), ['mirror.example', 'dockerhub']);
  for (const bad of ['mirror.example', '=x', 'a=', 'a=b/c', 'a:5000=b', 'a b=c'])
    assert.throws(() => parseMirrorHost(bad), { kind: 'invalid' });
});

test('readStorageOptions: a data root, or a database with a bucket and its keys, never half of one', () => {
  const keys = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' };
  const shared = { database: 'postgres://u@h/d', 's3-endpoint': 'http://s3', 's3-bucket': 'b' };
  assert.deepEqual(readStorageOptions({}, {}), { kind: 'files', dataRoot: '/var/lib/gantry-hub' });
  assert.deepEqual(readStorageOptions({ 'data-root': '/x' }, { GANTRY_HUB_DATABASE: shared.database }), {
    kind: 'files',
    dataRoot: '/x',
  });
  assert.deepEqual(readStorageOptions(shared, keys), {
    kind: 'shared',
    database: shared.database,
    endpoint: 'http://s3',
    bucket: 'b',
    region: 'us-east-1',
    accessKeyId: 'id',
    secretAccessKey: 'secret',
    redirect: true,
  });
  for (const [values, env, why] of [
    [{ ...shared, 'data-root': '/x' }, keys, /not both/],
    [{ 's3-bucket': 'b' }, keys, /--database is missing/],
    [{ database: shared.database }, keys, /--s3-endpoint is missing/],
    [shared, {}, /AWS_ACCESS_KEY_ID/],
    [{ ...shared, database: 'mysql://x' }, keys, /not a URL such as postgres/],
    [{ ...shared, 's3-redirect': 'maybe' }, keys, /"maybe"/],
  ] as const)
    assert.throws(() => readStorageOptions(values, env), why);
});
