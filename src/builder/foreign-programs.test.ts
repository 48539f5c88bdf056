import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { canRun } from './foreign-programs.ts';
import { nativePlatform } from './platforms.ts';

const entry = (magic: string, mask: string, state = 'enabled') =>
  `${state}\ninterpreter /usr/bin/x\nflags: F\noffset 0\nmagic ${magic}\n${mask === '' ? '' : `mask ${mask}\n`}`;

test('canRun goes by what an entry of binfmt_misc takes, not by its name', () => {
  const directory = mkdtempSync(`${tmpdir()}/gantry-binfmt-`);
  try {
    const give = (name: string, text: string) => writeFileSync(`${directory}/${name}`, text);
    const can = (architecture: string) => canRun({ architecture }, directory);
    assert.equal(can(nativePlatform.architecture), true);
    assert.equal(can('s390x'), false, 'nothing is mounted there');
    give('status', 'enabled\n');
    give('rosetta', entry('7f454c4602020100000000000000000000020016', 'ffffffffffffff00fffffffffffffffffffeffff'));
    give('python', 'enabled\ninterpreter /usr/bin/python3\nflags: \nextension .pyc\n');
    assert.equal(can('s390x'), true);
    assert.equal(can('riscv64'), false);
    assert.equal(can('vax'), false);
    give('qemu-riscv64', entry('7f454c460201010000000000000000000200f300', '', 'disabled'));
    assert.equal(can('riscv64'), false);
    give('qemu-riscv64', entry('7f454c460201010000000000000000000200f300', ''));
    assert.equal(can('riscv64'), true);
    give('status', 'disabled\n');
    assert.equal(can('riscv64'), false);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
