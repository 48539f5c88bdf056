import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { commandsOf } from '../harness/commands.ts';
import { type Engine, startEngine } from '../harness/engine.ts';
import { until } from '../harness/program.ts';

describe('gantry update --publish-add and --publish-rm', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
    await ok('run', '-d', '--name', 'web', 'busybox', 'sh', '-c', 'echo here > /index.html; exec httpd -f -p 80 -h /');
  });
  after(() => engine[Symbol.asyncDispose]());
  const { ok, refused } = commandsOf((args) => engine.gantry(args));
  const portOf = async () => Number((await ok('port', 'web', '80')).split(':').at(-1));
  const answers = async (port: number) => {
    try {
      return (
        await (await fetch(`http://127.0.0.1:${port}/index.html`, { signal: AbortSignal.timeout(5000) })).text()
      ).trim();
    } catch {
      return undefined;
    }
  };

  test('a port of a running container comes, and goes, and its process goes on', async () => {
    const { Pid } = JSON.parse(await ok('inspect', 'web'))[0].State;
    await refused('port', 'web', '80');
    await ok('update', '--publish-add', '127.0.0.1::80', 'web');
    const port = await portOf();
    assert.equal(await answers(port), 'here');
    await ok('update', '--publish-add', '81', '--publish-add', '127.0.0.1::82/udp', 'web');
    assert.equal((await ok('port', 'web')).split('\n').length >= 3, true);
    assert.equal(await answers(port), 'here');
    await ok('update', '--publish-rm', '80', 'web');
    assert.equal(await answers(port), undefined);
    await refused('port', 'web', '80');
    assert.match(await ok('port', 'web'), /82\/udp/);
    assert.equal(JSON.parse(await ok('inspect', 'web'))[0].State.Pid, Pid);
    // The host's port is free again.
    const server = createServer().listen(port, '127.0.0.1');
    await new Promise((done, fail) => server.once('listening', done).once('error', fail));
    await new Promise((done) => server.close(done));
  });

  test('a host port moves to another port of the container in one step', async () => {
    await ok('update', '--publish-add', '127.0.0.1::9999', 'web');
    const port = Number((await ok('port', 'web', '9999')).split(':').at(-1));
    assert.equal(await answers(port), undefined);
    await ok('update', '--publish-rm', `127.0.0.1:${port}:9999`, '--publish-add', `127.0.0.1:${port}:80`, 'web');
    assert.equal(await answers(port), 'here');
  });

  test('what cannot be done changes nothing', async () => {
    const before = await ok('port', 'web');
    const port = await portOf();
    await ok('run', '-d', '--name', 'other', '-p', '127.0.0.1::7', 'busybox', 'sleep', '1000');
    const taken = (await ok('port', 'other', '7')).trim();
    assert.match(
      await refused('update', '--publish-rm', '80', '--publish-add', `${taken}:80`, 'web'),
      /port is already allocated: container "other"/,
    );
    assert.match(await refused('update', '--publish-rm', '4444', 'web'), /port 4444\/tcp is not published/);
    assert.match(await refused('update', '--publish-rm', '80/udp', 'web'), /port 80\/udp is not published/);
    assert.equal(await ok('port', 'web'), before);
    assert.equal(await answers(port), 'here');
    await ok('run', '-d', '--name', 'lonely', '--network', 'none', 'busybox', 'sleep', '1000');
    assert.match(await refused('update', '--publish-add', '80', 'lonely'), /cannot be published: its network is none/);
  });

  test('ports stay so over a restart of the container, of the daemon, and after its crash', async () => {
    const port = await portOf();
    await ok('restart', '-t', '0', 'web');
    assert.equal(await portOf(), port);
    assert.equal(await until(() => answers(port)), 'here');
    await engine.kill('SIGKILL');
    await engine.restart();
    assert.equal(await answers(port), 'here');
    await ok('update', '--publish-rm', '80', 'web');
    assert.equal(await answers(port), undefined);
    await ok('stop', '-t', '0', 'web');
    await ok('update', '--publish-add', `127.0.0.1:${port}:80`, 'web');
    await ok('start', 'web');
    // A start is over when the program runs, not when it listens.
    assert.equal(await until(() => answers(port)), 'here');
    assert.match(
      await ok('inspect', '-f', '{{json .HostConfig.PortBindings}}', 'web'),
      new RegExp(`"80/tcp":.*"${port}"`),
    );
  });
});
