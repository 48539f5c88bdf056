import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { startEngine } from '../harness/engine.ts';
import { until } from '../harness/program.ts';

describe('the daemon is killed with SIGKILL', () => {
  test('containers go on, are found again, and nothing is left when they are gone', async () => {
    await using engine = await startEngine();
    const ok = async (...args: string[]) => {
      const { code, stdout, stderr } = await engine.gantry(args);
      assert.equal(code, 0, `gantry ${args.join(' ')}: ${stderr}`);
      return stdout;
    };
    const count = 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done';
    await ok('run', '-d', '--name', 'counter', '-p', '127.0.0.1::80', 'busybox', 'sh', '-c', count);
    await ok(
      'run',
      '-d',
      '--name',
      'short',
      'busybox',
      'sh',
      '-c',
      'while [ ! -e /tmp/end ]; do sleep 0.02; done; exit 6',
    );
    await ok('run', '-d', '--rm', '--name', 'temporary', 'busybox', 'sleep', '1000');
    await ok('create', '--name', 'later', 'busybox', 'true');
    const pids = new Map<string, number>();
    for (const name of ['counter', 'short', 'temporary'])
      pids.set(name, JSON.parse(await ok('inspect', name))[0].State.Pid);
    const port = (await ok('port', 'counter', '80/tcp')).trim();

    await engine.kill('SIGKILL');
    for (const pid of pids.values()) process.kill(pid, 0);
    // While no daemon runs, one ends by itself and one is killed.
    writeFileSync(`/proc/${pids.get('short')}/root/tmp/end`, '');
    process.kill(pids.get('temporary') ?? 0, 'SIGKILL');
    await until(() => {
      try {
        process.kill(pids.get('short') ?? 0, 0);
        return undefined;
      } catch {
        return true;
      }
    });
    await engine.restart();

    assert.equal(await ok('ps', '--format', '{{.Names}}'), 'counter\n');
    assert.equal((await ok('port', 'counter', '80/tcp')).trim(), port);
    assert.equal(JSON.parse(await ok('inspect', 'short'))[0].State.ExitCode, 6);
    assert.match((await engine.gantry(['inspect', 'temporary'])).stderr, /No such/);
    const before = (await ok('logs', 'counter')).trimEnd().split('\n').length;
    await until(async () => ((await ok('logs', 'counter')).trimEnd().split('\n').length > before ? true : undefined));
    await ok('exec', 'counter', 'true');
    await ok('stop', '-t', '0', 'counter');
    const lines = (await ok('logs', 'counter')).trimEnd().split('\n');
    assert.deepEqual(
      lines,
      lines.map((_, i) => String(i + 1)),
      'the log has every line once',
    );
    await ok('start', 'later');
    await ok('rm', '-f', 'counter', 'short', 'later');
  });

  test('in the middle of many starts: the next daemon brings all of them to an end', async () => {
    await using engine = await startEngine();
    const starts = Array.from({ length: 8 }, (_, i) =>
      engine.gantry(['run', '-d', '--name', `n${i}`, 'busybox', 'sh', '-c', 'echo ran; exec sleep 1000']),
    );
    await until(async () =>
      (await engine.gantry(['ps', '-q'])).stdout.trim().split('\n').filter(Boolean).length >= 2 ? true : undefined,
    );
    await engine.kill('SIGKILL');
    await Promise.all(starts);
    await engine.restart();
    const { stdout } = await engine.gantry(['ps', '-aq']);
    for (const id of stdout.trim().split('\n').filter(Boolean)) {
      const { body } = await engine.api('GET', `/containers/${id}/json`);
      const { Status } = (body as { State: { Status: string } }).State;
      // What ran, ran once, and is known to run, though nobody was there any more to record it.
      if (Status === 'created') assert.equal((await engine.gantry(['logs', id])).stdout, '');
      else assert.equal(Status, 'running');
      assert.equal((await engine.gantry(['rm', '-f', id])).code, 0);
    }
  });
});

describe('the daemon is ended with SIGTERM', () => {
  test('it goes although somebody is attached, and the container goes on', async () => {
    await using engine = await startEngine();
    const attached = engine.gantry(['run', '-i', '--name', 'kept', 'busybox', 'sh', '-c', 'echo up; exec sleep 1000']);
    const { Pid } = await until(async () => {
      const { stdout } = await engine.gantry(['inspect', '-f', '{{json .State}}', 'kept']);
      const state = stdout.trim() === '' ? undefined : (JSON.parse(stdout) as { Running: boolean; Pid: number });
      return state?.Running ? state : undefined;
    });
    await engine.restart();
    assert.notEqual((await attached).code, 0);
    process.kill(Pid, 0);
    assert.equal((await engine.gantry(['exec', 'kept', 'echo', 'alive'])).stdout, 'alive\n');
    await engine.gantry(['rm', '-f', 'kept']);
  });
});
