import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { until } from '../harness/program.ts';

describe('the life of a container', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());
  const ok = async (...args: string[]) => {
    const { code, stdout, stderr } = await engine.gantry(args);
    assert.equal(code, 0, `gantry ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const inspect = async (name: string) => JSON.parse(await ok('inspect', name))[0];

  test('create, start, logs, exec, stop, start again, rm', async () => {
    const id = (await ok('create', '--name', 'web', 'busybox', 'sh', '-c', 'echo up; exec sleep 1000')).trim();
    assert.match(id, /^[0-9a-f]{64}$/);
    assert.equal((await inspect('web')).State.Status, 'created');
    assert.equal(await ok('start', 'web'), 'web\n');
    await until(async () => ((await ok('logs', 'web')) === 'up\n' ? true : undefined));
    assert.match(await ok('ps', '--format', '{{.Names}} {{.Status}} {{.Image}}'), /^web Up .* busybox$/m);
    assert.equal(await ok('exec', 'web', 'cat', '/proc/1/comm'), 'sleep\n');
    const failing = await engine.gantry(['exec', '-w', '/tmp', '-e', 'X=9', 'web', 'sh', '-c', 'pwd; echo $X; exit 3']);
    assert.deepEqual([failing.code, failing.stdout], [3, '/tmp\n9\n']);
    assert.equal((await engine.gantry(['exec', 'web', 'nope'])).code, 127);
    const piped = await engine.gantry(['exec', '-i', 'web', 'wc', '-c'], { input: 'abc' });
    assert.equal(piped.stdout.trim(), '3');
    const running = await engine.gantry(['rm', 'web']);
    assert.equal(running.code, 1);
    assert.match(running.stderr, /stop the container before removing or force remove/);
    await ok('stop', '-t', '0', 'web');
    assert.equal((await inspect('web')).State.ExitCode, 137);
    await ok('start', 'web');
    await until(async () => ((await ok('logs', 'web')) === 'up\nup\n' ? true : undefined));
    assert.equal(await ok('logs', '--tail', '1', 'web'), 'up\n');
    await ok('rm', '-f', 'web');
    assert.match((await engine.gantry(['inspect', 'web'])).stderr, /No such (object|container): web/);
  });

  test('stop sends the stop signal first', async () => {
    const script = 'trap "echo bye; exit 5" TERM; while :; do sleep 0.05; done';
    await ok('run', '-d', '--name', 'polite', 'busybox', 'sh', '-c', `echo ready; ${script}`);
    await until(async () => ((await ok('logs', 'polite')) === 'ready\n' ? true : undefined));
    await ok('stop', 'polite');
    assert.equal((await inspect('polite')).State.ExitCode, 5);
    assert.equal(await ok('logs', 'polite'), 'ready\nbye\n');
    await ok('rm', 'polite');
  });

  test('wait prints the exit code; logs -f ends with the container', async () => {
    await ok(
      'run',
      '-d',
      '--name',
      'brief',
      'busybox',
      'sh',
      '-c',
      'for i in 1 2 3; do echo $i; sleep 0.1; done; exit 4',
    );
    const [followed, waited] = await Promise.all([ok('logs', '-f', 'brief'), ok('wait', 'brief')]);
    assert.equal(followed, '1\n2\n3\n');
    assert.equal(waited, '4\n');
    await ok('rm', 'brief');
  });

  test('names are unique, ids may be shortened, rename works', async () => {
    const id = (await ok('create', '--name', 'one', 'busybox', 'true')).trim();
    const again = await engine.gantry(['create', '--name', 'one', 'busybox', 'true']);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /The container name "\/one" is already in use by container/);
    await ok('rename', 'one', 'two');
    assert.equal((await inspect(id.slice(0, 8))).Name, '/two');
    await ok('rm', 'two');
  });

  test('pause and unpause', async () => {
    await ok('run', '-d', '--name', 'paused', 'busybox', 'sleep', '1000');
    await ok('pause', 'paused');
    assert.equal((await inspect('paused')).State.Status, 'paused');
    assert.equal((await engine.gantry(['exec', 'paused', 'true'])).code, 1);
    await ok('unpause', 'paused');
    await ok('exec', 'paused', 'true');
    await ok('rm', '-f', 'paused');
  });

  test('restart policies start it again, until it is stopped or has failed often enough', async () => {
    await ok('run', '-d', '--name', 'again', '--restart', 'on-failure:2', 'busybox', 'sh', '-c', 'echo try; exit 1');
    await until(async () => ((await inspect('again')).State.Status === 'exited' ? true : undefined));
    assert.equal(await ok('logs', 'again'), 'try\ntry\ntry\n');
    assert.equal((await inspect('again')).RestartCount, 2);
    await ok('run', '-d', '--name', 'always', '--restart', 'always', 'busybox', 'sleep', '1000');
    const { Pid } = (await inspect('always')).State;
    process.kill(Pid, 'SIGKILL');
    await until(async () => {
      const { State } = await inspect('always');
      return State.Status === 'running' && State.Pid !== Pid ? true : undefined;
    });
    await ok('stop', '-t', '0', 'always');
    assert.equal((await inspect('always')).State.Status, 'exited');
    await ok('rm', 'again', 'always');
  });

  test('a health check makes it healthy, then unhealthy', async () => {
    await ok(
      ...['run', '-d', '--name', 'sick', '--health-cmd', 'test -e /tmp/well', '--health-interval', '50ms'],
      ...['--health-retries', '2', 'busybox', 'sh', '-c', 'touch /tmp/well; exec sleep 1000'],
    );
    const health = async () => (await inspect('sick')).State.Health.Status;
    await until(async () => ((await health()) === 'healthy' ? true : undefined));
    assert.match(await ok('ps', '--format', '{{.Status}}'), /\(healthy\)/);
    await ok('exec', 'sick', 'rm', '/tmp/well');
    await until(async () => ((await health()) === 'unhealthy' ? true : undefined));
    await ok('rm', '-f', 'sick');
  });

  test('diff, top, export and inspect show what is inside and where it came from', async () => {
    await ok(
      'run',
      '-d',
      '--name',
      'look',
      '-e',
      'X=1',
      'busybox',
      'sh',
      '-c',
      'echo x > /etc/new; rm /etc/group; exec sleep 99',
    );
    // The shell's own arguments name it too: until it has become that.
    await until(async () => (/(?<!exec )sleep 99/.test(await ok('top', 'look')) ? true : undefined));
    const changes = await ok('diff', 'look');
    assert.match(changes, /^A \/etc\/new$/m);
    assert.match(changes, /^D \/etc\/group$/m);
    assert.match(changes, /^C \/etc$/m);
    const { Gantry } = await inspect('look');
    assert.equal(Gantry.Provenance['process.env[X]'], 'user');
    assert.equal(Gantry.Provenance['process.env[PATH]'], 'default');
    await ok('rm', '-f', 'look');
  });

  test('the log rotates and stays whole', async () => {
    await ok('run', '--name', 'loud', 'busybox', 'sh', '-c', 'seq 1 20000');
    const lines = (await ok('logs', 'loud')).trimEnd().split('\n');
    assert.equal(lines.length, 20000);
    assert.equal(lines.at(-1), '20000');
    assert.equal(await ok('logs', '--tail', '2', 'loud'), '19999\n20000\n');
    await ok('rm', 'loud');
  });

  test('containers without a name that are created at once never meet in one', async () => {
    const create = () => engine.api('POST', '/containers/create', { Image: 'busybox', Cmd: ['true'] });
    const answers = await Promise.all(Array.from({ length: 200 }, create));
    for (const { status, text } of answers) assert.equal(status, 201, text);
    await ok('rm', ...answers.map(({ body }) => (body as { Id: string }).Id));
  });
});
