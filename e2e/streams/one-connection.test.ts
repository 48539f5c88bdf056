// A process that is started, joined and waited for over one connection (src/api/one-connection.ts), and the usual way where
// an engine does not know it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { until } from '../harness/program.ts';

describe('run and exec over one connection', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
    const { code, stderr } = await engine.gantry(['run', '-d', '--name', 'box', 'busybox', 'sleep', '1000']);
    assert.equal(code, 0, stderr);
  });
  after(() => engine[Symbol.asyncDispose]());

  const open = (path: string, body: unknown = {}): Socket => {
    const text = JSON.stringify(body);
    const socket = connect(engine.host.slice('unix://'.length));
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: e\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
    );
    return socket;
  };
  const answer = async (path: string, body?: unknown): Promise<string> =>
    Buffer.concat(await open(path, body).toArray()).toString('latin1');
  const created = async (options: object): Promise<string> => {
    const { body } = await engine.api('POST', '/containers/create', { Image: 'busybox', ...options });
    return (body as { Id: string }).Id;
  };
  const stateOf = async (id: string) =>
    ((await engine.api('GET', `/containers/${id}/json`)).body as { State?: { Status: string } }).State?.Status;

  test('the output comes first, then the end', async () => {
    const id = await created({ Cmd: ['sh', '-c', 'echo hello; exit 7'] });
    const text = await answer(`/gantry/containers/${id}/start?stdout=1&stderr=1`);
    assert.match(text, /^HTTP\/1\.1 101 [\s\S]*hello\n\x04[\s\S]{7}\{"StatusCode":7\}$/);
    const exec = { Cmd: ['sh', '-c', 'echo hello; exit 8'], AttachStdout: true, AttachStderr: true };
    assert.match(await answer('/gantry/containers/box/exec', exec), /hello\n\x04[\s\S]{7}\{"StatusCode":8\}$/);
  });

  test('a container that is to be removed is gone when its end is told', async () => {
    const id = await created({ Cmd: ['true'], HostConfig: { AutoRemove: true } });
    assert.match(await answer(`/gantry/containers/${id}/start?stdout=1`), /\{"StatusCode":0\}$/);
    assert.equal((await engine.api('GET', `/containers/${id}/json`)).status, 404);
    const broken = await created({ Cmd: ['nope'], HostConfig: { AutoRemove: true } });
    assert.match(
      await answer(`/gantry/containers/${broken}/start?stdout=1`),
      /\{"Refused":\{"Status":4\d\d,.*nope.*not found/,
    );
    assert.equal((await engine.api('GET', `/containers/${broken}/json`)).status, 404);
  });

  test('what is refused before anything starts is refused by status', async () => {
    assert.match(await answer('/gantry/containers/nobody/start?stdout=1'), /^HTTP\/1\.1 404 /);
    assert.match(await answer('/gantry/containers/nobody/exec', { Cmd: ['true'] }), /^HTTP\/1\.1 404 /);
    assert.match(await answer('/gantry/containers/box/exec', { Cmd: ['true'], Tty: true }), /^HTTP\/1\.1 400 /);
    assert.match(await answer('/gantry/containers/box/exec', { Cmd: 'true' }), /^HTTP\/1\.1 400 /);
    const id = await created({ Cmd: ['true'], Tty: true });
    assert.match(await answer(`/gantry/containers/${id}/start?stdout=1`), /^HTTP\/1\.1 400 /);
    assert.equal(await stateOf(id), 'created');
  });

  test('a client that goes leaves the container running', async () => {
    const id = await created({ Cmd: ['sh', '-c', 'echo up; exec sleep 1000'] });
    const socket = open(`/gantry/containers/${id}/start?stdout=1`);
    let text = '';
    for await (const data of socket) {
      text += data;
      if (text.includes('up\n')) break;
    }
    socket.destroy();
    assert.equal(await stateOf(id), 'running');
    assert.equal((await engine.gantry(['exec', id, 'true'])).code, 0);
  });

  test('a command says so where the engine ends before the process', async () => {
    const running = engine.gantry(['run', '--name', 'orphan', 'busybox', 'sleep', '1000']);
    await until(async () => ((await stateOf('orphan')) === 'running' ? true : undefined));
    await engine.kill('SIGKILL');
    const { code, stderr } = await running;
    assert.notEqual(code, 0, stderr);
    assert.match(stderr, /engine/);
    await engine.restart();
    assert.equal(await stateOf('orphan'), 'running');
  });

  test('an engine that does not know it is asked the usual way', async () => {
    const paths: string[] = [];
    const older: Server = createServer({ allowHalfOpen: true }, (client) => {
      client.on('error', () => undefined);
      client.once('data', (first: Buffer) => {
        const path = first.toString('latin1').split(' ', 2)[1] ?? '';
        paths.push(path);
        if (path.startsWith('/gantry/')) {
          client.end('HTTP/1.1 404 Not Found\r\nContent-Length: 29\r\n\r\n{"message":"page not found"}\n');
          return;
        }
        const real = connect({ path: engine.host.slice('unix://'.length), allowHalfOpen: true });
        real.on('error', () => client.destroy());
        client.on('close', () => real.destroy());
        real.write(first);
        client.pipe(real).pipe(client);
      });
    });
    older.listen(0, '127.0.0.1');
    await once(older, 'listening');
    const address = older.address();
    assert.ok(address !== null && typeof address === 'object');
    const env = { GANTRY_HOST: `tcp://127.0.0.1:${address.port}` };
    try {
      const ran = await engine.gantry(['run', '--rm', 'busybox', 'sh', '-c', 'echo out; exit 5'], { env });
      assert.deepEqual([ran.code, ran.stdout], [5, 'out\n'], ran.stderr);
      const exec = await engine.gantry(['exec', 'box', 'sh', '-c', 'echo out; exit 6'], { env });
      assert.deepEqual([exec.code, exec.stdout], [6, 'out\n'], exec.stderr);
      assert.ok(paths.some((path) => /^\/gantry\/.*\/start/.test(path)));
      assert.ok(paths.some((path) => /^\/gantry\/.*\/exec/.test(path)));
    } finally {
      older.close();
    }
  });
});
