import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readProgramFile } from './program-file.ts';

const text = (content: string) => readProgramFile(Buffer.from(content));

test('readProgramFile tells scripts, programs, texts and what is of other systems', () => {
  assert.deepEqual(text(''), { kind: 'empty' });
  assert.deepEqual(text('echo hi\n'), { kind: 'text' });
  assert.deepEqual(text('a\0b'), { kind: 'unknown' });
  const script = { kind: 'script', carriageReturn: false, marked: false };
  assert.deepEqual(text('#!/bin/sh -e\n'), { ...script, interpreter: '/bin/sh' });
  assert.deepEqual(text('#! /usr/bin/env python3\r\n'), {
    ...script,
    interpreter: '/usr/bin/env',
    carriageReturn: true,
  });
  assert.deepEqual(text('\ufeff#!/bin/sh'), { ...script, interpreter: '/bin/sh', marked: true });
  assert.deepEqual(text('#!'), { ...script, interpreter: '' });
  assert.equal(readProgramFile(Buffer.from('4d5a9000', 'hex')).kind, 'foreign');
});

test('readProgramFile reads this Node, and whatever bytes come after the magic', () => {
  const node = readProgramFile(readFileSync(process.execPath).subarray(0, 16 * 1024));
  assert.equal(node.kind === 'elf' && node.machine, process.arch === 'x64' ? 'amd64' : 'arm64');
  assert.match((node.kind === 'elf' && node.loader) || '', /ld-linux/);
  for (let seed = 1; seed < 200; seed++) {
    const bytes = Buffer.alloc(4 + (seed % 120));
    for (let at = 0; at < bytes.length; at++) bytes[at] = (seed * 2654435761 * (at + 1)) >>> 24;
    bytes.write('\x7fELF', 'latin1');
    assert.equal(readProgramFile(bytes).kind, 'elf');
  }
});
