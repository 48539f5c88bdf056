import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHubOptions, parseListen } from './options.ts';

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
