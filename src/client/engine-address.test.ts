import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEngineHost } from './engine-address.ts';

test('parseEngineHost reads sockets and addresses', () => {
  assert.deepEqual(parseEngineHost('unix:///run/x.sock'), { kind: 'unix', path: '/run/x.sock' });
  assert.deepEqual(parseEngineHost('tcp://host:99'), { kind: 'tcp', host: 'host', port: 99 });
  assert.deepEqual(parseEngineHost('host:99'), { kind: 'tcp', host: 'host', port: 99 });
  assert.deepEqual(parseEngineHost('tcp://[::1]'), { kind: 'tcp', host: '::1', port: 2375 });
  assert.equal(parseEngineHost('tcp://host', { verify: true }).kind, 'tcp');
  for (const bad of ['unix://', 'x://', 'tcp://', 'tcp://a:b', 'tcp://h:99999', 'tcp://h/path'])
    assert.throws(() => parseEngineHost(bad), { kind: 'invalid' }, bad);
  assert.throws(() => parseEngineHost('ssh://host'), { kind: 'unsupported' });
});
