import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseListenAddress } from './listen-address.ts';

test('parseListenAddress reads sockets, hosts with and without a port, and systemd’s', () => {
  assert.deepEqual(parseListenAddress('unix:///run/x.sock', false), { kind: 'unix', path: '/run/x.sock' });
  assert.deepEqual(parseListenAddress('tcp://0.0.0.0:1234', false), { kind: 'tcp', host: '0.0.0.0', port: 1234 });
  assert.deepEqual(parseListenAddress('tcp://[::1]', true), { kind: 'tcp', host: '::1', port: 2376 });
  assert.deepEqual(parseListenAddress('tcp://:2375', false), { kind: 'tcp', host: '127.0.0.1', port: 2375 });
  assert.deepEqual(parseListenAddress('fd://', false), { kind: 'systemd' });
});

test('parseListenAddress refuses what is no address, and names it', () => {
  for (const wrong of ['unix://relative', 'unix://', 'http://x', 'tcp://a:99999', 'tcp://a:b'])
    assert.throws(() => parseListenAddress(wrong, false), { kind: 'invalid', message: new RegExp(wrong) });
  assert.throws(() => parseListenAddress('fd://3', false), { kind: 'unsupported' });
});
