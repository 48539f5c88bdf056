import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSocketServer } from 'node:net';
import { tmpdir } from 'node:os';
import type { Duplex } from 'node:stream';
import { after, test } from 'node:test';
import { createEngineClient } from './engine-client.ts';
import { demultiplex, jsonLines } from './output-streams.ts';

// The peer is Node's own HTTP server: what is tested is that ours and HTTP agree.
const root = mkdtempSync(`${tmpdir()}/gantry-client-`);
const path = `${root}/engine.sock`;
const server = createServer((request, response) => void answer(request, response).catch(() => response.destroy()));
server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
  if (request.url?.endsWith('/refused')) {
    socket.end('HTTP/1.1 409 Conflict\r\nContent-Length: 21\r\n\r\n{"message":"not now"}');
    return;
  }
  socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly ');
  let got = head.toString();
  socket.on('data', (data: Buffer) => {
    got += data.toString();
  });
  socket.on('end', () => socket.end(`after half-close: ${got}`));
});
await new Promise<void>((ready) => server.listen(path, ready));
after(() => {
  server.close();
  rmSync(root, { recursive: true, force: true });
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname: versioned, searchParams } = new URL(request.url ?? '/', 'http://x');
  const [, version = '', pathname] = /^\/v(1\.\d+)(\/.*)$/.exec(versioned) ?? [];
  switch (pathname) {
    case '/echo': {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      response.end(
        JSON.stringify({
          body: Buffer.concat(chunks).toString(),
          query: [...searchParams],
          type: request.headers['content-type'],
        }),
      );
      return;
    }
    case '/chunks':
      for (let i = 0; i < 3000; i++) response.write(`{"n":${i},"pad":"${'x'.repeat(i % 97)}"}\n`);
      response.end();
      return;
    case '/version-1.41':
      if (version === '1.41') response.end(JSON.stringify({ version }));
      else
        response
          .writeHead(400)
          .end(`{"message":"client version ${version} is too new. Maximum supported API version is 1.41"}`);
      return;
    case '/none':
      response.writeHead(204).end();
      return;
    case '/cut':
      response.writeHead(200, { 'content-length': '100' });
      response.write('only this', () => response.destroy());
      return;
    case '/slow':
      response.writeHead(200).flushHeaders();
      return;
    case '/early': // answers without reading what is sent
      response.writeHead(400).end('{"message":"bad build"}');
      return;
    default:
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"message":"No such container: x"}');
  }
}

const client = createEngineClient({ kind: 'unix', path }, { userAgent: 'test' });

test('json sends a body and a query, and reads the answer', async () => {
  const query = { one: 1, yes: true, no: false, absent: undefined, many: ['a b', 'c'] };
  assert.deepEqual(await client.json('POST', '/echo', { json: { a: '\u00fc' }, query }), {
    body: '{"a":"\u00fc"}',
    query: [
      ['one', '1'],
      ['yes', '1'],
      ['no', '0'],
      ['many', 'a b'],
      ['many', 'c'],
    ],
    type: 'application/json',
  });
  assert.equal(await client.json('POST', '/none'), undefined);
});

test('an older engine is asked in its own newest version, unless one was named', async () => {
  const fresh = () => createEngineClient({ kind: 'unix', path }, { userAgent: 'test' });
  assert.deepEqual(await fresh().json('GET', '/version-1.41'), { version: '1.41' });
  const named = createEngineClient({ kind: 'unix', path }, { userAgent: 'test', apiVersion: '1.45' });
  await assert.rejects(named.json('GET', '/version-1.41'), { kind: 'invalid', message: /1\.45 is too new/ });
});

test('stream reads chunks wherever they are cut', async () => {
  const { body } = await client.stream('GET', '/chunks');
  let next = 0;
  for await (const line of jsonLines<{ n: number }>(body)) assert.equal(line.n, next++);
  assert.equal(next, 3000);
});

test('a body of unknown length is sent in chunks', async () => {
  async function* body() {
    for (let i = 0; i < 100; i++) yield Buffer.alloc(10_000, 'x');
  }
  const answered = await client.json<{ body: string; type: string }>('POST', '/echo', { body: body() });
  assert.equal(answered.body.length, 1_000_000);
  assert.equal(answered.type, 'application/x-tar');
});

test('errors have the kind of their status and the engine\u2019s words', async () => {
  await assert.rejects(client.json('GET', '/nosuch'), {
    kind: 'not-found',
    code: 'engine-response',
    message: 'No such container: x',
  });
  await assert.rejects(client.text('GET', '/cut'), { kind: 'unavailable', message: /91 bytes early/ });
  async function* endless() {
    for (;;) yield Buffer.alloc(65536);
  }
  await assert.rejects(client.stream('POST', '/early', { body: endless() }), { kind: 'invalid', message: 'bad build' });
  async function* broken() {
    yield Buffer.from('x');
    throw new Error('the disk broke');
  }
  await assert.rejects(client.json('POST', '/echo', { body: broken() }), { message: 'the disk broke' });
  await assert.rejects(client.json('GET', '/x\r\nHost: evil'), { kind: 'invalid' });
});

test('a signal ends a call that waits', async () => {
  const { body } = await client.stream('GET', '/slow', { signal: AbortSignal.timeout(20) });
  await assert.rejects(body[Symbol.asyncIterator]().next(), { kind: 'cancelled' });
});

test('hijack keeps what came with the head, and half-closes', async () => {
  const { socket } = await client.hijack('/attach', { json: { Tty: true } });
  socket.end('typed');
  let text = '';
  for await (const chunk of socket) text += chunk;
  assert.match(text, /^early after half-close: .*typed$/);
  await assert.rejects(client.hijack('/refused'), { kind: 'conflict', message: 'not now' });
});

test('where nothing listens it says so, and asks once whether to try again', async () => {
  const absent = `${root}/later.sock`;
  await assert.rejects(createEngineClient({ kind: 'unix', path: absent }, { userAgent: 't' }).json('GET', '/'), {
    kind: 'unavailable',
    code: 'engine-unreachable',
    message: /Is the daemon running/,
  });
  const late = createSocketServer((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n"started"'));
  const onUnreachable = () => new Promise<boolean>((done) => late.listen(absent, () => done(true)));
  const started = createEngineClient({ kind: 'unix', path: absent }, { userAgent: 't', onUnreachable });
  assert.equal(await started.json('GET', '/'), 'started');
  late.close();
});

test('demultiplex takes frames apart however they are cut, and refuses what is none', async () => {
  const frame = (type: number, text: string) => {
    const head = Buffer.from([type, 0, 0, 0, 0, 0, 0, 0]);
    head.writeUInt32BE(text.length, 4);
    return Buffer.concat([head, Buffer.from(text)]);
  };
  const whole = Buffer.concat([frame(1, 'out'), frame(2, 'error'), frame(1, ''), frame(1, 'more')]);
  for (const size of [1, 3, 7, 100]) {
    async function* cut() {
      for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size);
    }
    const seen = { stdout: '', stderr: '' };
    for await (const { stream, data } of demultiplex(cut())) seen[stream] += data.toString();
    assert.deepEqual(seen, { stdout: 'outmore', stderr: 'error' });
  }
  const drain = async (bytes: Buffer) => {
    for await (const _ of demultiplex(
      (async function* () {
        yield bytes;
      })(),
    ));
  };
  await assert.rejects(drain(Buffer.from('plain text, no frames')), { kind: 'corrupt' });
  await assert.rejects(drain(whole.subarray(0, 10)), { kind: 'corrupt', message: /broke off/ });
});
