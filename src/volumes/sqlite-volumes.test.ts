import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { createVolumes } from './sqlite-volumes.ts';

test('createVolumes keeps a volume while a container uses it, and says which', async () => {
  const root = mkdtempSync(`${tmpdir()}/gantry-volumes-`);
  try {
    const volumes = createVolumes({ db: new DatabaseSync(':memory:'), root });
    const { path } = await volumes.create({ name: 'data' });
    assert.equal((await volumes.create({ name: 'data' })).path, path);
    volumes.use('data', 'c1');
    await assert.rejects(volumes.remove('data'), { code: 'volume-in-use', message: /\[c1\]/ });
    volumes.release('c1');
    await volumes.remove('data');
    assert.equal(existsSync(path), false);
    await assert.rejects(volumes.remove('data'), { kind: 'not-found' });
    await assert.rejects(volumes.create({ name: '../up' }), { kind: 'invalid' });
    assert.equal((await volumes.create({})).anonymous, true);
  } finally {
    rmSync(root, { recursive: true });
  }
});
