import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkLogging, chooseLogging, fileLimits, isReadable } from './log-options.ts';

const byDefault = { driver: 'json-file', options: { 'max-file': '2' } };

test('chooseLogging: the engine’s options count where its driver does', () => {
  assert.deepEqual(chooseLogging(undefined, byDefault), byDefault);
  assert.deepEqual(chooseLogging({ driver: '', options: { 'max-size': '1m' } }, byDefault), {
    driver: 'json-file',
    options: { 'max-file': '2', 'max-size': '1m' },
  });
  assert.deepEqual(chooseLogging({ driver: 'local', options: {} }, byDefault), { driver: 'local', options: {} });
});

test('fileLimits: 20 MB and five files where nothing is said, also of a cache', () => {
  assert.deepEqual(fileLimits({ driver: 'local', options: {} }), { maxBytes: 20 * 1024 ** 2, maxFiles: 5 });
  assert.deepEqual(fileLimits({ driver: 'json-file', options: { 'max-size': '-1', 'max-file': '1' } }), {
    maxBytes: 0,
    maxFiles: 1,
  });
  assert.equal(fileLimits({ driver: 'syslog', options: { 'cache-max-size': '10KB' } }).maxBytes, 10 * 1024);
  for (const size of ['', '0', 'x', '1t', '-2'])
    assert.throws(() => fileLimits({ driver: 'local', options: { 'max-size': size } }), { kind: 'invalid' }, size);
});

test('checkLogging refuses by name', () => {
  const check = (driver: string, options: Record<string, string> = {}) => checkLogging({ driver, options });
  check('syslog', {
    'syslog-address': 'udp://127.0.0.1:1',
    tag: '{{.Name}}-{{ .ID }}',
    mode: 'non-blocking',
    labels: 'a,b',
  });
  check('none', { mode: 'blocking' });
  assert.throws(() => check('constructor'), { kind: 'invalid', message: /no log driver named 'constructor'/ });
  assert.throws(() => check('gelf'), { kind: 'unsupported' });
  assert.throws(() => check('none', { 'max-size': '1m' }), {
    message: /unknown log opt 'max-size' for none log driver/,
  });
  assert.throws(() => check('local', { compress: 'true' }), { kind: 'unsupported' });
  assert.throws(() => check('local', { 'max-buffer-size': '1m' }), { kind: 'unsupported' });
  assert.throws(() => check('json-file', { 'env-regex': '(' }), { kind: 'invalid' });
  assert.throws(() => check('json-file', { tag: '{{.constructor}}' }), { kind: 'invalid' });
});

test('isReadable: nothing of none, nor of a cache that is switched off', () => {
  assert.ok(isReadable({ driver: 'syslog', options: {} }));
  assert.ok(!isReadable({ driver: 'syslog', options: { 'cache-disabled': 'true' } }));
  assert.ok(!isReadable({ driver: 'none', options: {} }));
});
