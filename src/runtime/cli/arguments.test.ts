import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOptions } from './arguments.ts';

const rules = {
  bundle: { kind: 'text', short: 'b' },
  force: { kind: 'flag', short: 'f' },
  env: { kind: 'list' },
} as const;
const parse = (...words: readonly string[]) => parseOptions(words, rules, 'test');

test('parseOptions: long, short, with = and without, up to the first word', () => {
  const parsed = parse('--bundle=/a=b', '-f', '--env', 'A=1', '--env=B=2', 'id', '--not-ours');
  assert.equal(parsed.text('bundle'), '/a=b');
  assert.equal(parsed.flag('force'), true);
  assert.deepEqual(parsed.list('env'), ['A=1', 'B=2']);
  assert.deepEqual(parsed.rest, ['id', '--not-ours']);
  assert.equal(parse('-b', '/x').text('bundle'), '/x');
  assert.deepEqual(parse('--force=false', '--', '--id').rest, ['--id']);
});

test('parseOptions: refuses what it does not know', () => {
  assert.throws(() => parse('--bundel', 'x'), /test: option --bundel is not known/);
  assert.throws(() => parse('--bundle'), /needs a value/);
  assert.throws(() => parse('--force=maybe'), /use true or false/);
  assert.throws(() => parse('--toString'), /not known/);
});
