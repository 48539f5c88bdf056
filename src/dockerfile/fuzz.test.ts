import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { GantryError } from '#errors/index.ts';
import { expandWord } from './expand.ts';
import { lintDockerfile } from './lint.ts';
import { parseDockerfile } from './parse.ts';

const samples = new URL('./testdata/', import.meta.url);
const seeds = readdirSync(samples)
  .filter((name) => name.endsWith('.Dockerfile'))
  .map((name) => readFileSync(new URL(name, samples), 'utf8'));

/** Numbers that look random and are the same in every run (Numerical Recipes' LCG). */
function numbers(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const pieces = [
  '\\\n',
  '\n',
  '<<EOF\n',
  'EOF\n',
  '"',
  "'",
  '${',
  '}',
  '$',
  '--from=',
  '--mount=',
  '[',
  ']',
  '\0',
  '#',
  'FROM ',
  '\u{1f433}',
  '`',
  '=',
  '\t',
  'ONBUILD ',
  '\r\n',
  '/',
  '*',
  ':-',
];

test('parseDockerfile, lint and expansion answer anything with a value or a GantryError', () => {
  const pick = numbers(42);
  let parsed = 0;
  for (let round = 0; round < 3000; round++) {
    let text = seeds[pick(seeds.length)] ?? '';
    for (let edit = pick(4); edit >= 0; edit--) {
      const at = pick(text.length + 1);
      text = text.slice(0, at) + (pieces[pick(pieces.length)] ?? '') + text.slice(at + pick(6));
    }
    try {
      const file = parseDockerfile(text);
      parsed++;
      lintDockerfile(file, { environmentOf: () => [], ignores: () => false });
      for (const stage of file.stages)
        for (const one of stage.instructions)
          if (one.kind === 'ENV') for (const { value } of one.pairs) expandWord(value, () => 'x', file.escape);
    } catch (error) {
      assert.ok(error instanceof GantryError, `${String(error)}\n${text}`);
    }
  }
  assert.ok(parsed > 100);
});
