import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDetachWatch, parseDetachKeys } from './detach-keys.ts';

test('parseDetachKeys reads letters and control keys', () => {
  assert.deepEqual([...parseDetachKeys('ctrl-p,ctrl-q')], [16, 17]);
  assert.deepEqual([...parseDetachKeys('a,ctrl-@,ctrl-[')], [97, 0, 27]);
  for (const bad of ['', 'ab', 'ctrl-1', 'a,,b']) assert.throws(() => parseDetachKeys(bad), { kind: 'invalid' }, bad);
});

test('createDetachWatch holds back what may be the beginning, and gives it up again', () => {
  const watch = createDetachWatch(parseDetachKeys('ctrl-p,ctrl-q'));
  const typed = (text: string) => watch.feed(Buffer.from(text))?.toString();
  assert.equal(typed('ls\x10'), 'ls');
  assert.equal(typed('x'), '\x10x');
  assert.equal(typed('\x10\x10'), '\x10');
  assert.equal(typed('\x11 never'), undefined);
});
