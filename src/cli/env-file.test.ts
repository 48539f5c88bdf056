import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, test } from 'node:test';
import { environmentOf } from './env-file.ts';

const root = mkdtempSync(`${tmpdir()}/gantry-env-`);
after(() => rmSync(root, { recursive: true, force: true }));
const file = (content: string | Buffer) => {
  writeFileSync(`${root}/env`, content);
  return `${root}/env`;
};

test('environmentOf reads files, then flags, and takes bare names from here', () => {
  const path = file('# comment\r\nA=1\r\n\r\n  B=two words=x\nHERE\nGONE\n');
  assert.deepEqual(environmentOf([path], ['C=', 'HERE', 'GONE'], { HERE: 'yes' }), [
    'A=1',
    'B=two words=x',
    'HERE=yes',
    'C=',
    'HERE=yes',
  ]);
});

test('environmentOf names the file and line that is wrong', () => {
  assert.throws(() => environmentOf([file('A=1\nB C=2\n')], [], {}), {
    exitCode: 125,
    message: /line 2: variable 'B C' contains/,
  });
  assert.throws(() => environmentOf([file('=x\n')], [], {}), { message: /no variable name/ });
  assert.throws(() => environmentOf([`${root}/nosuch`], [], {}), {
    message: `open ${root}/nosuch: no such file or directory`,
  });
});
