import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { commandsOf } from '../harness/commands.ts';
import { type Engine, startEngine } from '../harness/engine.ts';
import { run, until } from '../harness/program.ts';

describe('what becomes of containers when the engine goes and comes', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());
  const { ok } = commandsOf((args) => engine.gantry(args));
  const inspect = async (name: string) => JSON.parse(await ok('inspect', name))[0];
  const status = async (name: string) => (await inspect(name)).State.Status;
  const has = (name: string, wanted: string) => until(async () => ((await status(name)) === wanted ? true : undefined));
  const sleeper = (name: string, restart: string) =>
    ok('run', '-d', '--name', name, '--restart', restart, '--stop-signal', 'KILL', 'busybox', 'sleep', '1000');

  test('policies across a stop of the daemon, and across its crash while containers end', async () => {
    const names = ['no', 'always', 'unless-stopped', 'on-failure'];
    for (const policy of names) {
      await sleeper(`ends-${policy}`, policy);
      await sleeper(`stopped-${policy}`, policy);
      await sleeper(`lives-${policy}`, policy);
      await ok('stop', `stopped-${policy}`);
    }
    const pidOf = async (name: string) => (await inspect(name)).State.Pid as number;
    const living = Object.fromEntries(
      await Promise.all(names.map(async (p) => [p, await pidOf(`lives-${p}`)] as const)),
    );
    const ending = await Promise.all(names.map((policy) => pidOf(`ends-${policy}`)));
    await engine.kill('SIGKILL');
    for (const pid of ending) process.kill(pid, 'SIGKILL');
    await engine.restart();
    for (const policy of names) assert.equal(await pidOf(`lives-${policy}`), living[policy], policy);
    // An engine that was away does what one that looked on would have done.
    assert.equal(await status('ends-no'), 'exited');
    for (const policy of ['always', 'unless-stopped', 'on-failure']) await has(`ends-${policy}`, 'running');
    assert.equal((await inspect('ends-no')).State.ExitCode, 137);
    // Only `always` forgets that a person stopped it.
    await has('stopped-always', 'running');
    for (const policy of ['no', 'unless-stopped', 'on-failure'])
      assert.equal(await status(`stopped-${policy}`), 'exited');
    await engine.restart();
    assert.equal(await status('stopped-unless-stopped'), 'exited');
    await ok('rm', '-f', ...(await ok('ps', '-aq')).split('\n'));
  });

  test('a container that ends at once is started again and again, and rests when it is stopped', async () => {
    await ok('run', '-d', '--name', 'hasty', '--restart', 'always', 'busybox', 'echo', 'again');
    await until(async () => ((await inspect('hasty')).RestartCount >= 3 ? true : undefined));
    await ok('stop', 'hasty');
    assert.equal(await status('hasty'), 'exited');
    const { RestartCount } = await inspect('hasty');
    const lines = (await ok('logs', 'hasty')).split('\n').length;
    // The last one may have been stopped before it was started.
    assert.ok(lines === RestartCount + 1 || lines === RestartCount, `${lines} lines, ${RestartCount} restarts`);
    await ok('rm', 'hasty');
  });

  test('a stop or a removal while they start again is the last word', async () => {
    const names = Array.from({ length: 6 }, (_, n) => `again-${n}`);
    for (const name of names) await ok('run', '-d', '--name', name, '--restart', 'always', 'busybox', 'true');
    for (const name of names) await until(async () => ((await inspect(name)).RestartCount >= 2 ? true : undefined));
    const without = await engine.gantry(['rm', 'again-0']);
    assert.match(
      without.stderr,
      /container is (restarting|running): stop the container before removing or force remove/,
    );
    await Promise.all(names.slice(0, 4).map((name) => ok('stop', name)));
    await Promise.all(names.slice(4).map((name) => ok('rm', '-f', name)));
    for (const name of names.slice(0, 4)) assert.equal(await status(name), 'exited', name);
    assert.equal(await ok('ps', '-aq', '--filter', 'name=again-4', '--filter', 'name=again-5'), '');
    await ok('rm', ...names.slice(0, 4));
  });

  test('a new name is found by others at once, and the old one is not', async () => {
    await ok('network', 'create', 'renaming');
    await ok(
      'run',
      '-d',
      '--name',
      'before',
      '--network',
      'renaming',
      '--network-alias',
      'kept',
      'busybox',
      'sleep',
      '1000',
    );
    await ok('run', '-d', '--name', 'asker', '--network', 'renaming', 'busybox', 'sleep', '1000');
    const finds = async (name: string) =>
      (await engine.gantry(['exec', 'asker', 'ping', '-c1', '-W5', name])).code === 0;
    assert.ok(await finds('before'));
    await ok('rename', 'before', 'afterwards');
    assert.ok((await finds('afterwards')) && (await finds('kept')));
    assert.ok(!(await finds('before')));
    await engine.restart();
    assert.ok(await finds('afterwards'));
    await ok('rm', '-f', 'afterwards', 'asker');
    await ok('network', 'rm', 'renaming');
  });

  test('events of an out-of-memory end, of a pause, an exec, a removal by itself; filters choose', async () => {
    const since = new Date().toISOString();
    await engine.gantry([
      'run',
      '--name',
      'greedy',
      '-m',
      '16m',
      'busybox',
      'sh',
      '-c',
      'head -c 64m /dev/zero | tail',
    ]);
    await ok('run', '-d', '--name', 'calm', '--rm', '--label', 'mood=calm', 'busybox', 'sleep', '1000');
    await ok('pause', 'calm');
    await ok('unpause', 'calm');
    await ok('exec', 'calm', 'true');
    await ok('kill', 'calm');
    await until(async () => ((await engine.gantry(['inspect', 'calm'])).code !== 0 ? true : undefined));
    const events = async (...filters: string[]) =>
      await ok(
        'events',
        '--since',
        since,
        '--until',
        '0s',
        '--format',
        '{{.Action}}',
        ...filters.flatMap((f) => ['--filter', f]),
      );
    if ((await inspect('greedy')).State.OOMKilled)
      assert.match(await events('container=greedy'), /^create\nattach\nstart\noom\ndie$/m);
    const calm = (await events('label=mood=calm')).split('\n').filter((action) => action !== 'attach');
    assert.deepEqual(
      calm.map((action) => action.split(':')[0]),
      ['create', 'start', 'pause', 'unpause', 'exec_create', 'exec_start', 'exec_die', 'kill', 'die', 'destroy'],
    );
    assert.deepEqual((await events('container=calm', 'event=die', 'event=pause')).split('\n'), ['pause', 'die']);
    assert.equal(await events('image=nothing'), '');
    assert.match(
      (await engine.gantry(['events', '--since', '1m', '--until', '0s', '--filter', 'colour=red'])).stderr,
      /invalid filter 'colour'/,
    );
    await ok('rm', 'greedy');
  });

  test('what is done with a container, its networks and volumes is told, in order', async () => {
    const since = new Date().toISOString();
    await ok('run', '-d', '-v', 'told:/told', '--name', 'told', 'busybox', 'sleep', '1000');
    await ok('rename', 'told', 'teller');
    await ok('top', 'teller');
    await ok('export', '-o', `${engine.root}/teller.tar`, 'teller');
    const pipe = `${engine.root}/pipe`;
    await run('mkfifo', [pipe]);
    const over = await engine.gantry(['export', '-o', pipe, 'teller']);
    assert.match(over.stderr, /failed to export to ".*pipe": cannot write to an irregular file/);
    assert.ok(statSync(pipe).isFIFO());
    await engine.api('POST', '/containers/teller/resize?h=10&w=20'); // no terminal, no error
    await ok('commit', 'teller', 'told:v1');
    // What SIGKILL ended has ended: it can be removed at once.
    await ok('kill', 'teller');
    await ok('rm', 'teller');
    await ok('volume', 'rm', 'told');
    await ok('rmi', 'told:v1');
    for (const kind of ['container', 'network', 'volume', 'image', 'builder']) await ok(kind, 'prune', '-f');
    const format =
      '{{.Type}} {{.Action}}{{range $name, $value := .Actor.Attributes}}{{if ne $name "container"}} {{$name}}={{$value}}{{end}}{{end}}';
    const told = await ok('events', '--since', since, '--until', '0s', '--format', format);
    const place = 'driver=local propagation= read/write=true';
    assert.deepEqual(
      told
        .replaceAll(/ imageID=\S+/g, '')
        .replaceAll(/ image=busybox/g, '')
        .split('\n')
        .filter((line) => !line.startsWith('image delete')),
      [
        ...['volume create driver=local', 'container create name=told'],
        ...['network connect name=bridge type=bridge', `volume mount destination=/told ${place}`],
        ...['container start name=told', 'container rename name=teller oldName=/told', 'container top name=teller'],
        ...['container export name=teller', 'container resize height=10 name=teller width=20'],
        ...['container pause name=teller', 'container unpause name=teller'],
        ...['container commit comment= imageRef=told:v1 name=teller', 'container kill name=teller signal=9'],
        ...['container die exitCode=137 name=teller', 'network disconnect name=bridge type=bridge'],
        ...['volume unmount driver=local', 'container destroy name=teller', 'volume destroy driver=local'],
        ...['image untag name=told:v1'],
        ...['container', 'network', 'volume', 'image', 'builder'].map((kind) => `${kind} prune reclaimed=0`),
      ],
    );
  });

  test('events of images', async () => {
    const since = new Date().toISOString();
    await ok('tag', 'busybox', 'other:v1');
    await ok('save', '-o', `${engine.root}/other.tar`, 'other:v1');
    await ok('rmi', 'other:v1');
    await ok('load', '-i', `${engine.root}/other.tar`);
    await ok('rmi', 'other:v1');
    const format = ['--format', '{{.Action}} {{.Actor.Attributes.name}}'];
    const said = await ok('events', '--since', since, '--until', '0s', '--filter', 'type=image', ...format);
    assert.deepEqual(said.split('\n'), [
      'tag other:v1',
      'save other:v1',
      'untag other:v1',
      'load other:v1',
      'untag other:v1',
    ]);
  });

  test('wait: for the end, for the next end, for the removal', async () => {
    const wait = async (name: string, condition: string) =>
      ((await engine.api('POST', `/containers/${name}/wait?condition=${condition}`)).body as { StatusCode: number })
        .StatusCode;
    await ok('create', '--name', 'thrice', '-i', 'busybox', 'sh', '-c', 'read -r code; exit $code');
    assert.equal(await wait('thrice', 'not-running'), 0);
    const next = wait('thrice', 'next-exit');
    const removed = wait('thrice', 'removed');
    await ok('start', 'thrice');
    const running = wait('thrice', 'not-running');
    await engine.gantry(['attach', 'thrice'], { input: '6\n' });
    assert.deepEqual(await Promise.all([next, running]), [6, 6]);
    assert.equal(await wait('thrice', 'not-running'), 6);
    await ok('rm', 'thrice');
    assert.equal(await removed, 6);
    assert.equal((await engine.api('POST', '/containers/thrice/wait')).status, 404);
  });
});
