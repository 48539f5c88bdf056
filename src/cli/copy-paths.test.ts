import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCopyEnd, placeCopy } from './copy-paths.ts';

test('parseCopyEnd takes CONTAINER:PATH apart, and leaves local paths whole', () => {
  assert.deepEqual(parseCopyEnd('web:/etc'), { container: 'web', path: '/etc' });
  assert.deepEqual(parseCopyEnd('web:'), { container: 'web', path: '' });
  for (const path of ['/a:b', './a:b', '../a:b', 'a', '-'])
    assert.deepEqual(parseCopyEnd(path), { container: undefined, path });
});

test('placeCopy follows the table of `docker cp`', () => {
  const file = { path: '/s/file', directory: false };
  const directory = { path: '/s/dir', directory: true };
  const content = { path: '/s/dir/.', directory: true };
  assert.deepEqual(placeCopy(file, '/d', 'directory'), { directory: '/d', name: 'file' });
  assert.deepEqual(placeCopy(file, '/d/new', 'nothing'), { directory: '/d', name: 'new' });
  assert.deepEqual(placeCopy(file, '/d/old', 'other'), { directory: '/d', name: 'old' });
  assert.equal(placeCopy(file, '/d/new/', 'nothing'), 'no such directory');
  assert.deepEqual(placeCopy(directory, '/d', 'directory'), { directory: '/d', name: 'dir' });
  assert.deepEqual(placeCopy(content, '/d', 'directory'), { directory: '/d', name: undefined });
  assert.deepEqual(placeCopy(directory, '/d/new/', 'nothing'), { directory: '/d', name: 'new' });
  assert.deepEqual(placeCopy(content, '/d/new', 'nothing'), { directory: '/d', name: 'new' });
  assert.equal(placeCopy(directory, '/d/file', 'other'), 'cannot copy directory');
  assert.deepEqual(placeCopy({ path: '/', directory: true }, '/d', 'directory'), { directory: '/d', name: undefined });
});
