import assert from 'node:assert/strict';
import { test } from 'node:test';
import { project, run } from '../harness/program.ts';

test('the lab gives every right answer and leaves nothing behind', { timeout: 600_000 }, async () => {
  const { code, stdout, stderr } = await run(process.execPath, ['scripts/lab.ts'], {
    cwd: project,
    timeoutMs: 580_000,
  });
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  assert.match(stdout, /Hello from ana World!/);
  assert.match(stdout, /Hello from outside \| +18 \| board/);
  assert.match(stdout, /lab: every answer was right/);
});
