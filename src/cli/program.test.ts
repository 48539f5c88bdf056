import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { program } from './program.ts';
import { version } from './version-number.ts';

test('every command loads, and no name is given twice', async () => {
  const names = program.flatMap((entry) => entry.names);
  assert.equal(new Set(names).size, names.length);
  for (const entry of program) assert.equal(typeof (await entry.load()).command.execute, 'function');
});

test('the version is the package\u2019s', () => {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  assert.equal(version, manifest.version);
});
