import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { commandsOf } from '../harness/commands.ts';
import { type Engine, startEngine } from '../harness/engine.ts';
import { until } from '../harness/program.ts';

describe('--health-on-unhealthy', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());
  const { ok, refused } = commandsOf((args) => engine.gantry(args));
  const inspect = async (name: string) => JSON.parse(await ok('inspect', name))[0];
  const checked = [
    '--health-cmd',
    'test ! -e /sick',
    '--health-interval',
    '50ms',
    '--health-retries',
    '1',
    '--stop-signal',
    'KILL',
  ];
  const run = (name: string, ...more: string[]) =>
    ok('run', '-d', '--name', name, ...checked, ...more, 'busybox', 'sh', '-c', 'rm -f /sick; exec sleep 1000');
  const healthy = (name: string) =>
    until(async () => ((await inspect(name)).State.Health?.Status === 'healthy' ? true : undefined));
  const fallIll = (name: string) => ok('exec', name, 'touch', '/sick');

  test('restart starts it anew, whatever its restart policy', async () => {
    await run('phoenix', '--health-on-unhealthy', 'restart');
    await healthy('phoenix');
    const { Pid } = (await inspect('phoenix')).State;
    assert.equal((await inspect('phoenix')).HostConfig.HealthOnUnhealthy, 'restart');
    await fallIll('phoenix');
    await until(async () => {
      const { State } = await inspect('phoenix');
      return State.Status === 'running' && State.Pid !== Pid ? true : undefined;
    });
    await healthy('phoenix');
    assert.equal((await inspect('phoenix')).RestartCount, 1);
    const events = await ok(
      'events',
      '--since',
      '5m',
      '--until',
      '0s',
      '--filter',
      'container=phoenix',
      '--format',
      '{{.Action}}',
    );
    assert.match(events, /health_status: unhealthy\nhealth_action: restart\n(.*\n)*die\n(.*\n)*start\n/);
  });

  test('stop ends it, and its restart policy lets it rest; also after a restart of the daemon', async () => {
    await run('patient', '--health-on-unhealthy', 'stop', '--restart', 'unless-stopped');
    await healthy('patient');
    await fallIll('patient');
    await until(async () => ((await inspect('patient')).State.Status === 'exited' ? true : undefined));
    await engine.restart();
    assert.equal((await inspect('patient')).State.Status, 'exited');
  });

  test('none goes on; update changes it while it runs; what is no action is refused', async () => {
    await run('stoic', '--health-on-unhealthy', 'none');
    await healthy('stoic');
    const { Pid } = (await inspect('stoic')).State;
    await fallIll('stoic');
    await until(async () => ((await inspect('stoic')).State.Health.Status === 'unhealthy' ? true : undefined));
    assert.equal((await inspect('stoic')).State.Pid, Pid);
    await ok('exec', 'stoic', 'rm', '/sick');
    await healthy('stoic');
    await ok('update', '--health-on-unhealthy', 'stop', 'stoic');
    await fallIll('stoic');
    await until(async () => ((await inspect('stoic')).State.Status === 'exited' ? true : undefined));
    assert.match(
      await refused('run', '--health-on-unhealthy', 'pray', 'busybox', 'true'),
      /must be one of "restart", "stop" or "none"/,
    );
  });
});
