import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRange } from './blob-endpoints.ts';
import { parseScope } from './scope.ts';
import { contentRange } from './upload-endpoints.ts';
import { parseV2Path } from './v2-path.ts';

test('parseV2Path lets the end of the path decide, also where names hold its words', () => {
  assert.deepEqual(parseV2Path('/v2/'), { kind: 'base' });
  assert.deepEqual(parseV2Path('/v2/a/blobs/b/manifests/v1'), { kind: 'manifest', name: 'a/blobs/b', reference: 'v1' });
  assert.deepEqual(parseV2Path('/v2/a/blobs/uploads/'), { kind: 'uploads', name: 'a' });
  assert.deepEqual(parseV2Path('/v2/a/b/blobs/uploads'), { kind: 'uploads', name: 'a/b' });
  assert.deepEqual(parseV2Path('/v2/a/manifests/b/blobs/uploads/x-1'), {
    kind: 'upload',
    name: 'a/manifests/b',
    id: 'x-1',
  });
  assert.deepEqual(parseV2Path('/v2/a/tags/list/tags/list'), { kind: 'tags', name: 'a/tags/list' });
  assert.equal(parseV2Path('/v2/a/manifests/'), undefined);
  assert.equal(parseV2Path('/v3/a/manifests/b'), undefined);
});

test('parseScope reads actions from the right and refuses what has none', () => {
  assert.deepEqual(parseScope('repository:host:5000/a/b:pull,push'), {
    type: 'repository',
    name: 'host:5000/a/b',
    actions: ['pull', 'push'],
  });
  assert.deepEqual(parseScope('registry:catalog:*')?.actions, ['*']);
  for (const bad of ['', 'repository', 'repository:a', 'repository:a:', ':a:pull', 'repository:a:PULL'])
    assert.equal(parseScope(bad), undefined, bad);
});

test('contentRange wants ends in order that agree with the length', () => {
  const read = (range: string, length?: string) =>
    contentRange({
      headers: { 'content-range': range, ...(length === undefined ? {} : { 'content-length': length }) },
    });
  assert.deepEqual(read('0-9', '10'), { start: 0, end: 9 });
  assert.deepEqual(read('bytes 5-9/*'), { start: 5, end: 9 });
  assert.equal(contentRange({ headers: {} }), undefined);
  assert.throws(() => read('9-0'), { code: 'upload-invalid' });
  assert.throws(() => read('a-b'), { code: 'upload-invalid' });
  assert.throws(() => read('0-9', '9'), { code: 'size-invalid' });
});

test('parseRange clips to the blob and leaves odd ones alone', () => {
  assert.deepEqual(parseRange('bytes=0-0', 10), { start: 0, end: 0 });
  assert.deepEqual(parseRange('bytes=-20', 10), { start: 0, end: 9 });
  assert.equal(parseRange('bytes=-0', 10), 'unsatisfiable');
  assert.equal(parseRange('bytes=0-', 0), 'unsatisfiable');
  for (const odd of [undefined, 'bytes=-', 'bytes=5-2', 'lines=1-2', 'bytes=1-2,3-4'])
    assert.equal(parseRange(odd, 10), undefined);
});
