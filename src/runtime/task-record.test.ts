import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTaskRecord, removeTaskFiles, writeTaskRecord } from './task-record.ts';

test('a task record is read as it was written, is none where its write was cut off, and is told where it is damaged', () => {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-record-'));
  try {
    assert.equal(readTaskRecord(directory), undefined);
    const record = { id: 'a', cgroupsPath: '/gantry/a', namespaces: 7, seccomp: undefined };
    writeTaskRecord(directory, record);
    assert.deepEqual(readTaskRecord(directory), record);
    assert.deepEqual(readdirSync(directory), ['task.json']);
    writeFileSync(`${directory}/task.json`, '{"id": "a", "cgr');
    assert.throws(() => readTaskRecord(directory), { kind: 'corrupt', message: /task\.json is no task record/ });
    removeTaskFiles(directory);
    // What an engine that was killed while it wrote leaves.
    writeFileSync(`${directory}/task.json.tmp`, '{"id": "a", "cgr');
    assert.equal(readTaskRecord(directory), undefined);
    writeFileSync(`${directory}/task.json`, '');
    assert.equal(readTaskRecord(directory), undefined);
    removeTaskFiles(directory);
    assert.deepEqual(readdirSync(directory), []);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
