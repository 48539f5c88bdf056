import assert from 'node:assert/strict';
import { test } from 'node:test';
import { journalEntry } from './journald.ts';

test('journalEntry gives values of several lines with their length, and says what is a part', () => {
  const time = '2026-02-03T04:05:06.123456789Z';
  const entry = journalEntry({ stream: 'stderr', time, text: Buffer.from('part') }, [
    ['ONE', 'x'],
    ['TWO', 'a\nb'],
  ]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(3n);
  assert.deepEqual(
    entry,
    Buffer.concat([
      Buffer.from(`MESSAGE=part\nPRIORITY=3\nSYSLOG_TIMESTAMP=${time}\nCONTAINER_PARTIAL_MESSAGE=true\nONE=x\nTWO\n`),
      length,
      Buffer.from('a\nb\n'),
    ]),
  );
});
