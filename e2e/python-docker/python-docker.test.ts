import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { startEngine } from '../harness/engine.ts';
import { run } from '../harness/program.ts';

const python = '/usr/bin/python3';
const absent = spawnSync(python, ['-c', 'import docker']).status !== 0 && 'python3-docker is not installed';

test("Docker's Python SDK: containers, exec, attach, images, build, networks, volumes, events, stats", {
  skip: absent,
}, async () => {
  await using engine = await startEngine();
  const { code, stderr } = await run(python, ['-W', 'ignore', `${import.meta.dirname}/behaviour.py`], {
    env: engine.env,
  });
  assert.equal(code, 0, `${stderr}\n${engine.output()}`);
});
