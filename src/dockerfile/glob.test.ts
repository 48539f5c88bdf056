import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGlob, globMatches } from './glob.ts';

const matches = (pattern: string, text: string, deep = false) => globMatches(compileGlob(pattern, { deep }), text);

test('compileGlob: filepath.Match, where a star stays in its component', () => {
  for (const [pattern, text, expected] of [
    ['*.go', 'main.go', true],
    ['*.go', 'a/main.go', false],
    ['a?c', 'abc', true],
    ['a?c', 'a/c', false],
    ['[a-c]x', 'bx', true],
    ['[^a-c]x', 'bx', false],
    ['[^a-c]x', '/x', false],
    ['\\*', '*', true],
    ['\\*', 'x', false],
    ['**', 'a/b', false],
    ['', '', true],
  ] as const)
    assert.equal(matches(pattern, text), expected, `${pattern} ~ ${text}`);
});

test('compileGlob: ** of .dockerignore takes any number of directories', () => {
  for (const [pattern, text, expected] of [
    ['**/*.o', 'x.o', true],
    ['**/*.o', 'a/b/x.o', true],
    ['a/**', 'a/b/c', true],
    ['a/**/z', 'a/z', true],
    ['a/**/z', 'a/b/c/z', true],
    ['a/**/z', 'a/bz', false],
    ['**/z', 'az', false],
    ['**', 'a/b', true],
  ] as const)
    assert.equal(matches(pattern, text, true), expected, `${pattern} ~ ${text}`);
});

test('compileGlob: a hostile pattern costs pattern × text, and a broken one is named', () => {
  assert.equal(matches('*a'.repeat(60), `${'a'.repeat(2000)}b`), false);
  assert.equal(matches('**/'.repeat(60), 'a/'.repeat(1000).slice(0, -1), true), false);
  for (const bad of ['[', '[a', 'x\\', '[]', '[a-'])
    assert.throws(() => compileGlob(bad), { kind: 'invalid', code: 'pattern-invalid' });
});
