import assert from 'node:assert/strict';
import { test } from 'node:test';
import { psColumns } from './ps-columns.ts';

const titles = (options: string | undefined) => psColumns(options).map(({ title }) => title);

test('psColumns has those of ps -ef, and those that -o lists', () => {
  assert.deepEqual(titles(undefined), ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD']);
  assert.deepEqual(titles('-o pid,comm,rss'), ['PID', 'COMMAND', 'RSS']);
  assert.deepEqual(titles('-eo pid,args'), ['PID', 'COMMAND']);
  assert.throws(() => titles('-o comm'), { kind: 'invalid', message: /PID field/ });
  assert.throws(() => titles('-o pid,colour'), { kind: 'unsupported', message: /"colour"/ });
  assert.throws(() => titles('--forest'), { kind: 'unsupported', message: /"--forest"/ });
});
