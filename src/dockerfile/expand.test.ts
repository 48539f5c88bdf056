import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GantryError } from '#errors/index.ts';
import { expandText, expandWord, expandWords } from './expand.ts';
import { sourceOf } from './source.ts';

const source = sourceOf('Dockerfile', 'ENV x');
const span = { source, start: { line: 1, column: 5 }, end: { line: 1, column: 6 } };
const variables = new Map([
  ['A', 'alpha'],
  ['E', ''],
  ['P', '/usr/local/lib/x.tar.gz'],
  ['L', '80 443'],
]);
const lookup = (name: string) => variables.get(name);
const expand = (text: string, escapeToken = '\\') => expandWord({ text, span }, lookup, escapeToken);

test('expandWord: variables, quotes and escapes as the reference has them', () => {
  for (const [text, expected] of [
    ['$A', 'alpha'],
    ['${A}b', 'alphab'],
    ['$Ab', ''],
    ['a$', 'a$'],
    ['\\$A', '$A'],
    ["'$A'", '$A'],
    ['"$A b"', 'alpha b'],
    ['"\\$A \\" \\n"', '$A " \\n'],
    ['a\\ b', 'a b'],
    ['${U:-w}', 'w'],
    ['${E:-w}', 'w'],
    ['${E-w}', ''],
    ['${U-w}', 'w'],
    ['${A:+w}', 'w'],
    ['${U:+w}', ''],
    ['${E+w}', 'w'],
    ['${U:-${A}}', 'alpha'],
    ['${U:-"a }b"}', 'a }b'],
    ['${A:?no}', 'alpha'],
    ['${P#*/}', 'usr/local/lib/x.tar.gz'],
    ['${P##*/}', 'x.tar.gz'],
    ['${P%.*}', '/usr/local/lib/x.tar'],
    ['${P%%.*}', '/usr/local/lib/x'],
    ['${P/local/share}', '/usr/share/lib/x.tar.gz'],
    ['${A//a/o}', 'olpho'],
    ['${A/?/X}', 'Xlpha'],
  ] as const)
    assert.equal(expand(text), expected, text);
  assert.equal(expand('`$A\\', '`'), '$A\\');
});

test('expandWord: what is malformed is shown in a frame', () => {
  for (const [text, message] of [
    ['${A', /no closing }/],
    ['${}', /must be followed by a name/],
    ['${A!x}', /unsupported modifier \(!\)/],
    ['${A:x}', /unsupported modifier \(:x\)/],
    ['${U:?must be set}', /U: must be set/],
    ['"x', /matching double-quote/],
    ["'x", /matching single-quote/],
    ['${A/x}', /needs \/replacement/],
  ] as const)
    assert.throws(() => expand(text), { kind: 'invalid', message });
});

test('expandWord: neither depth nor doubling nor a hostile pattern gets far', () => {
  assert.throws(() => expand('${A:-'.repeat(10_000)), { kind: 'invalid' });
  assert.throws(() => expand('${U:-'.repeat(60) + '}'.repeat(60)), { kind: 'invalid', message: /nested too deeply/ });
  variables.set('BIG', 'x'.repeat(600_000));
  assert.throws(() => expand('$BIG$BIG'), { kind: 'invalid', message: /more than/ });
  variables.set('AS', 'a'.repeat(2000));
  assert.equal(expand(`\${AS#${'*a'.repeat(30)}b}`), 'a'.repeat(2000));
});

test('expandWords: an unquoted variable splits at its blanks', () => {
  const words = (text: string) => expandWords({ text, span }, lookup, '\\');
  assert.deepEqual(words('$L'), ['80', '443']);
  assert.deepEqual(words('1$L/tcp "a b"'), ['180', '443/tcp', 'a b']);
  assert.deepEqual(words('"$L"'), ['80 443']);
});

test('expandText: quotes are ordinary characters of a heredoc', () => {
  assert.equal(expandText('say "$A" \\$A \'${U:-x}\'\n', span, lookup, '\\'), 'say "alpha" $A \'x\'\n');
});

test('expandWord throws nothing but a GantryError, whatever it is given', () => {
  let state = 7;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state % below;
  };
  const pieces = ['$', '{', '}', 'A', 'P', ':', '-', '+', '?', '#', '%', '/', '"', "'", '\\', '*', ' ', '\u{1f40b}'];
  for (let round = 0; round < 20_000; round++) {
    const text = Array.from({ length: random(14) }, () => pieces[random(pieces.length)]).join('');
    try {
      expand(text);
    } catch (error) {
      assert.ok(error instanceof GantryError, text);
    }
  }
});
