import assert from 'node:assert/strict';
import { test } from 'node:test';
import { familiarReference, parseReference } from './reference.ts';

test('parseReference normalises what a person types', () => {
  assert.deepEqual(parseReference('busybox'), { registry: 'docker.io', repository: 'library/busybox', tag: 'latest' });
  assert.deepEqual(parseReference('127.0.0.1:5000/ana/hello:v1'), {
    registry: '127.0.0.1:5000',
    repository: 'ana/hello',
    tag: 'v1',
  });
  assert.equal(familiarReference(parseReference('ana/hello')), 'ana/hello:latest');
  assert.equal(familiarReference(parseReference('docker.io/library/busybox:1')), 'busybox:1');
});

test('parseReference refuses and names the value', () => {
  for (const bad of ['', 'UPPER', 'a//b', 'a:b:c/d', 'a@sha256:12', '-a', 'a/../b', 'a b'])
    assert.throws(() => parseReference(bad), { code: 'reference-invalid' }, bad);
});
