import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { closeFd, openDirectory, openInRoot } from './files.ts';

test('openInRoot finds what lies behind a .. while others rename directories', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-files-'));
  mkdirSync(`${directory}/root/a/b`, { recursive: true });
  mkdirSync(`${directory}/x`);
  writeFileSync(`${directory}/root/file`, '');
  symlinkSync('../../file', `${directory}/root/a/b/link`);
  const renames = `const { renameSync } = require('node:fs'); console.log('begun'); for (;;) { renameSync('x', 'y'); renameSync('y', 'x'); }`;
  const other = spawn(process.execPath, ['-e', renames], { cwd: directory, stdio: ['ignore', 'pipe', 'inherit'] });
  const root = openDirectory(`${directory}/root`);
  try {
    await once(other.stdout, 'data');
    for (let i = 0; i < 20_000; i++) closeFd(openInRoot(root, '/a/b/link', 'file'));
  } finally {
    closeFd(root);
    other.kill();
    await once(other, 'exit');
    rmSync(directory, { recursive: true });
  }
  assert.equal(other.signalCode, 'SIGTERM');
});
