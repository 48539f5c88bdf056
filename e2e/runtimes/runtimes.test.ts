import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { reasonToSkip } from '../harness/oci-runtimes.ts';
import { until } from '../harness/program.ts';

for (const [name, path] of [
  ['runc', '/usr/sbin/runc'],
  ['crun', '/usr/bin/crun'],
] as const) {
  describe(`gantry run --runtime ${name}`, { skip: reasonToSkip(path) }, () => {
    let engine: Engine;
    before(async () => {
      engine = await startEngine();
    });
    after(() => engine[Symbol.asyncDispose]());

    test('runs, exits, logs, execs and stops like our own', async () => {
      const run = (...args: string[]) => engine.gantry(['run', '--rm', '--runtime', name, ...args]);
      const outcome = await run('busybox', 'sh', '-c', 'echo out; echo err >&2; exit 5');
      assert.deepEqual(outcome, { code: 5, stdout: 'out\n', stderr: 'err\n' });
      assert.equal((await run('busybox', 'nope')).code, 127);
      assert.equal((await run('--network', 'none', 'busybox', 'ls', '/sys/class/net')).stdout, 'lo\n');
      const id = (
        await engine.gantry(['run', '-d', '--runtime', name, 'busybox', 'sh', '-c', 'echo up; exec sleep 1000'])
      ).stdout.trim();
      await until(async () => ((await engine.gantry(['logs', id])).stdout === 'up\n' ? true : undefined));
      const exec = await engine.gantry(['exec', id, 'sh', '-c', 'cat /proc/1/comm; exit 2']);
      assert.deepEqual([exec.code, exec.stdout], [2, 'sleep\n'], exec.stderr);
      await engine.gantry(['stop', '-t', '0', id]);
      const [{ State }] = JSON.parse((await engine.gantry(['inspect', id])).stdout);
      assert.equal(State.ExitCode, 137);
      assert.equal((await engine.gantry(['rm', id])).code, 0);
    });
  });
}
