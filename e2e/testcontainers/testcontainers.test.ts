import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { run, until } from '../harness/program.ts';

const reaper = 'gantry-reaper:v1';

/** An image of a reaper: testcontainers' own cannot be had without a public registry. */
async function makeReaper(engine: Engine): Promise<void> {
  const context = `${engine.root}/reaper`;
  mkdirSync(context);
  execFileSync('cc', ['-static', '-O2', '-o', `${context}/reaper`, `${import.meta.dirname}/reaper.c`]);
  writeFileSync(`${context}/Dockerfile`, 'FROM scratch\nCOPY reaper /reaper\nCMD ["/reaper"]\n');
  const { code, stderr } = await engine.gantry(['build', '-q', '-t', reaper, context]);
  assert.equal(code, 0, stderr);
}

describe('testcontainers', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
    await makeReaper(engine);
  });
  after(() => engine[Symbol.asyncDispose]());

  test('containers, ways to wait, exec, copy, build, networks; its reaper removes what a session leaves', async () => {
    const env = {
      ...engine.env,
      RYUK_CONTAINER_IMAGE: reaper,
      ...(process.env.DEBUG ? { DEBUG: process.env.DEBUG } : {}),
    };
    const { code, stdout, stderr } = await run(process.execPath, [`${import.meta.dirname}/session.ts`], { env });
    assert.equal(code, 0, `${stdout}\n${stderr}\n${engine.output()}`);
    assert.match(stdout, /session over true/);
    await until(async () => ((await engine.gantry(['ps', '-aq'])).stdout === '' ? true : undefined));
    assert.doesNotMatch((await engine.gantry(['network', 'ls', '-q', '--filter', 'type=custom'])).stdout, /./);
  });
});
