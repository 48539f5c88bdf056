import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePlace, rangesOf } from './subordinate-ids.ts';

test('rangesOf reads a user\u2019s lines of subuid(5), and nobody else\u2019s', () => {
  const text = '# comment\nana:100000:65536\ngantry:1000:10\n gantry:5000:20 \ngantry:x:1\ngantryx:1:1\n';
  assert.deepEqual(rangesOf(text, 'gantry'), [
    { first: 1000, count: 10 },
    { first: 5000, count: 20 },
  ]);
});

test('freePlace takes the first ids that nobody has', () => {
  const ranges = [
    { first: 100, count: 10 },
    { first: 200, count: 30 },
  ];
  assert.equal(freePlace(ranges, [], 10), 100);
  assert.equal(freePlace(ranges, [{ first: 100, count: 1 }], 10), 200);
  assert.equal(freePlace(ranges, [{ first: 100, count: 4 }], 6), 104);
  const taken = [
    { first: 210, count: 10 },
    { first: 200, count: 5 },
  ];
  assert.equal(freePlace(ranges, [{ first: 100, count: 10 }, ...taken], 6), 220);
  assert.equal(freePlace(ranges, [{ first: 100, count: 10 }, ...taken], 5), 205);
  assert.equal(freePlace(ranges, [], 31), undefined);
});
