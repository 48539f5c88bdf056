import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIgnore } from './ignore.ts';

const ignore = (text: string) => parseIgnore({ name: '.dockerignore', lines: text.split('\n') });

test('parseIgnore: the last rule that matches a path or a directory above it decides', () => {
  const rules = ignore(
    '# comment\n*.md\n!README.md\nnode_modules\n**/*.log\n/build/\n!build/keep\nsecret*\n!secret-not',
  );
  for (const [path, expected] of [
    ['NOTES.md', true],
    ['README.md', false],
    ['docs/NOTES.md', false],
    ['node_modules', true],
    ['node_modules/a/b.js', true],
    ['a/node_modules', false],
    ['x.log', true],
    ['a/b/x.log', true],
    ['build/out', true],
    ['build/keep', false],
    ['build/keep/more', false],
    ['secret-not', false],
    ['secrets/a', true],
  ] as const)
    assert.equal(rules.ignores(path), expected, path);
  assert.equal(rules.hasExceptions, true);
});

test('parseIgnore: everything but a few, and nothing at all', () => {
  const rules = ignore('**\n!src\n!*.go');
  assert.deepEqual(
    ['a', 'src', 'src/x', 'main.go', 'b/main.go'].map((path) => rules.ignores(path)),
    [true, false, false, false, true],
  );
  assert.equal(ignore('\n# only\n\n.\n').empty, true);
});

test('parseIgnore names the line of a bad pattern', () => {
  assert.throws(() => ignore('ok\n[bad'), { kind: 'invalid', message: /\.dockerignore:2:1: .*without its \]/ });
  assert.throws(() => ignore('!'), { kind: 'invalid', message: /illegal exclusion pattern/ });
});
