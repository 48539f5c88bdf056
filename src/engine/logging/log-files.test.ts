import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { readLogs } from './log-files.ts';

const line = (text: string) =>
  `${JSON.stringify({ log: `${text}\n`, stream: 'stdout', time: '2026-01-01T00:00:00.000000000Z' })}\n`;
const all = { stdout: true, stderr: true };

test('readLogs reads rotated files oldest first, counts a tail over all, and skips a torn line', async () => {
  const directory = await mkdtemp(`${tmpdir()}/gantry-logs-`);
  try {
    const path = `${directory}/x.log`;
    await writeFile(`${path}.2`, line('one'));
    await writeFile(`${path}.1`, line('two') + line('three'));
    await writeFile(path, `${line('four')}{"log":"to`);
    const read = async (more: object) =>
      (await Array.fromAsync(await readLogs(path, { ...all, ...more }, Promise.resolve()))).map((r) =>
        r.text.toString(),
      );
    assert.deepEqual(await read({}), ['one\n', 'two\n', 'three\n', 'four\n']);
    assert.deepEqual(await read({ tail: 2 }), ['three\n', 'four\n']);
    assert.deepEqual(await read({ stdout: false }), []);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('readLogs follows across a rotation until the process has ended', async () => {
  const directory = await mkdtemp(`${tmpdir()}/gantry-logs-`);
  try {
    const path = `${directory}/x.log`;
    await writeFile(path, line('before'));
    const ended = Promise.withResolvers<void>();
    const records = await readLogs(path, { ...all, follow: true }, ended.promise);
    const next = async () => (await records.next()).value?.text.toString();
    assert.equal(await next(), 'before\n');
    await appendFile(path, line('while'));
    assert.equal(await next(), 'while\n');
    await rename(path, `${path}.1`);
    await writeFile(path, line('after'));
    assert.equal(await next(), 'after\n');
    ended.resolve();
    assert.equal(await next(), undefined);
  } finally {
    await rm(directory, { recursive: true });
  }
});
