import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { suite, test } from 'node:test';
import { openCgroups } from '#linux/index.ts';
import { reasonToSkip } from '../harness/oci-runtimes.ts';
import { project } from '../harness/program.ts';

const v1Only = `${project}/e2e/harness/cgroup-v1-only.sh`;
const tests = ['e2e/run/run.test.ts', 'e2e/lifecycle/lifecycle.test.ts'];

/** The engine's own tests, with its containers run by another runtime. */
function runSuite(runtime: string, around: readonly string[] = []): void {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const [program = '', ...args] = [...around, process.execPath, '--test', '--test-reporter=spec', ...tests];
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: project,
    env: { ...env, GANTRY_TEST_RUNTIME: runtime },
    encoding: 'utf8',
    timeout: 240_000,
  });
  assert.equal(status, 0, `${stdout}${stderr}`);
  assert.match(stdout, /pass [1-9]\d/);
}

suite("the engine's tests", () => {
  test('with gantry-runtime like another runtime', { skip: reasonToSkip(`${project}/bin/gantry-runtime`) }, () => {
    runSuite(`${project}/bin/gantry-runtime`);
  });

  test('with runc', { skip: reasonToSkip('/usr/sbin/runc') }, () => runSuite('runc'));

  test('with crun', { skip: reasonToSkip('/usr/bin/crun', { hidesHybrid: true }) }, () => {
    runSuite('crun', openCgroups().layout === 'hybrid' ? [v1Only] : []);
  });
});
