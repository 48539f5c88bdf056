import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanEntryPath } from './entry-path.ts';
import { compareNames } from './file-name.ts';

test('cleanEntryPath makes every name one below the root', () => {
  for (const [name, path] of [
    ['a/b', 'a/b'],
    ['./a/./b/', 'a/b'],
    ['/etc//passwd', 'etc/passwd'],
    ['a/../b', 'b'],
    ['a/b/../..', ''],
    ['./', ''],
    ['', ''],
    ['...', '...'],
    ['.hidden/..x', '.hidden/..x'],
    ['a/.', 'a'],
  ] as const)
    assert.equal(cleanEntryPath(name), path);
});

test('cleanEntryPath refuses a name that climbs out, and one longer than any path', () => {
  for (const name of ['..', '../x', '/..', 'a/../../b', './..'])
    assert.throws(() => cleanEntryPath(name), { kind: 'invalid', code: 'path-escapes' }, name);
  assert.throws(() => cleanEntryPath('x'.repeat(4096)), { kind: 'invalid' });
});

test('compareNames orders by bytes, with names that are no text among them', () => {
  const bytes = (hex: string) => Buffer.from(`${hex}00`, 'hex');
  const names = ['b', '\u{1f600}', bytes('ff'), 'a', '\uffee', bytes('61ff'), 'ab', 'B'];
  assert.deepEqual(names.toSorted(compareNames), [
    'B',
    'a',
    'ab',
    bytes('61ff'),
    'b',
    '\uffee',
    '\u{1f600}',
    bytes('ff'),
  ]);
});
