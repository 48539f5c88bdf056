import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { commandsOf } from '../harness/commands.ts';
import { type Engine, startEngine } from '../harness/engine.ts';

describe('gantry network and gantry port', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine(['--default-address-pool', 'base=10.197.0.0/16,size=26']);
  });
  after(() => engine[Symbol.asyncDispose]());
  const { ok, refused } = commandsOf((args) => engine.gantry(args));

  test('create, connect, inspect, disconnect, rm and prune', async () => {
    const id = await ok('network', 'create', '--label', 'a=b', '-o', 'com.docker.network.driver.mtu=1300', 'mine');
    assert.match(id, /^[0-9a-f]{64}$/);
    await ok('run', '-d', '--init', '--name', 'web', '--network', 'name=mine,alias=www', 'busybox', 'sleep', '600');
    await ok('run', '-d', '--init', '--name', 'other', 'busybox', 'sleep', '600');
    await ok('network', 'connect', '--ip', '10.197.0.33', 'mine', 'other');
    assert.match(await ok('exec', 'other', 'ping', '-c', '1', '-W', '2', 'www'), / 0% packet loss/);
    assert.match(await ok('exec', 'web', 'ip', 'link', 'show', 'eth0'), /mtu 1300/);
    const inspected = await ok(
      'network',
      'inspect',
      '-f',
      '{{range .Containers}}{{.Name}} {{.IPv4Address}};{{end}}',
      'mine',
    );
    assert.deepEqual(inspected.split(';').toSorted(), ['', 'other 10.197.0.33/26', 'web 10.197.0.2/26']);
    assert.match(await ok('network', 'ls'), /mine\s+bridge\s+local/);
    await ok('network', 'disconnect', 'mine', 'other');
    assert.match(
      await refused('network', 'disconnect', 'mine', 'other'),
      /container other is not connected to network mine/,
    );
    assert.match(await refused('network', 'rm', 'mine'), /network mine has active endpoints \(name:"web"/);
    await ok('rm', '-f', 'web', 'other');
    assert.equal(await ok('network', 'prune', '-f'), 'Deleted Networks:\nmine');
  });

  test('what a stopped container was connected to is there when it starts; one that is gone is named', async () => {
    await ok('network', 'create', 'late');
    await ok('create', '--name', 'later', 'busybox', 'sh', '-c', 'ip -o link | grep -c eth');
    await ok('network', 'connect', 'late', 'later');
    await ok('start', '-a', 'later');
    assert.equal(await ok('logs', 'later'), '2');
    await ok('network', 'rm', 'late');
    assert.match(await refused('start', 'later'), /network late not found: container later is connected to it/);
    await ok('network', 'create', 'late');
    assert.equal((await ok('start', '-a', 'later')).trim(), '2');
    await ok('network', 'rm', 'late');
    await ok('rm', 'later');
  });

  test('port says who reaches what; a port moves with its container from network to network', async () => {
    await ok('network', 'create', 'one');
    const flags = ['--network', 'one', '-p', '127.0.0.1:18080:80', '-p', '18081-18083:81/udp'];
    await ok('run', '-d', '--init', '--name', 'srv', ...flags, 'busybox', 'httpd', '-f', '-h', '/etc');
    assert.equal(await ok('port', 'srv'), '80/tcp -> 127.0.0.1:18080\n81/udp -> 0.0.0.0:18081');
    assert.equal(
      await ok('port', '--reach', 'srv'),
      '80/tcp -> 127.0.0.1:18080 (this host only)\n81/udp -> 0.0.0.0:18081 (every host that reaches this one)',
    );
    await ok('network', 'connect', 'bridge', 'srv');
    await ok('network', 'disconnect', 'one', 'srv');
    assert.equal(await ok('port', 'srv', '80'), '127.0.0.1:18080');
    const answer = await fetch('http://127.0.0.1:18080/passwd');
    assert.match(await answer.text(), /^root:/);
    await ok('rm', '-f', 'srv');
    await ok('network', 'rm', 'one');
  });
});
