// A request that is refused before its body was read: the client reads why, however much it still sends.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { type HubUnderTest, hubUnderTest } from './hub-under-test.ts';

let hub: HubUnderTest;
before(async () => {
  hub = await hubUnderTest();
});
after(() => hub[Symbol.asyncDispose]());

const credentials = `Basic ${Buffer.from('ana:correct horse battery').toString('base64')}`;
const block = Buffer.alloc(1 << 20, 'x');

function open(head: readonly string[], body = ''): Socket {
  const { hostname, port, host } = new URL(hub.url);
  const socket = connect(Number(port), hostname);
  socket.write(`${head[0]} HTTP/1.1\r\nhost: ${host}\r\n${head.slice(1).join('\r\n')}\r\n\r\n${body}`);
  return socket;
}
const everything = async (socket: Socket): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};
const written = (socket: Socket, bytes: Buffer | string) =>
  new Promise<void>((done, fail) => socket.write(bytes, (error) => (error ? fail(error) : done())));

test('a client that sends 128 MB and reads only then finds the refusal whole, and no reset', async () => {
  const length = 128 * block.length;
  for (const [head, status] of [
    [['PUT /v2/ana/x/manifests/v1', `authorization: ${credentials}`, `content-length: ${length}`], 413],
    [['POST /v2/ana/x/blobs/uploads/?digest=sha256:0', `content-length: ${length}`], 401],
    [['POST /api/v1/session', 'x-gantry: 1', 'content-type: application/json', `content-length: ${length}`], 413],
  ] as const) {
    const socket = open(head);
    for (let i = 0; i < 128; i++) await written(socket, block);
    const answer = await everything(socket);
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
    assert.match(answer, /\r\nconnection: close\r\n/i);
    assert.match(answer, /\}$/);
  }
});

test('the same in chunks whose number nobody knows', async () => {
  const socket = open(['POST /v2/ana/x/blobs/uploads/?digest=sha256:0', 'transfer-encoding: chunked']);
  for (let i = 0; i < 128; i++) {
    await written(socket, `${block.length.toString(16)}\r\n`);
    await written(socket, block);
    await written(socket, '\r\n');
  }
  await written(socket, '0\r\n\r\n');
  assert.match(await everything(socket), /^HTTP\/1.1 401 /);
});

test('fetch with a stream gets the answer each time', async () => {
  for (let round = 0; round < 20; round++) {
    let left = 16;
    const body = new ReadableStream({
      pull(controller) {
        if (left-- === 0) controller.close();
        else controller.enqueue(block);
      },
    });
    const init = { method: 'POST', body, duplex: 'half' } as RequestInit;
    const response = await fetch(`${hub.url}/v2/ana/x/blobs/uploads/?digest=sha256:0`, init);
    assert.equal(response.status, 401);
    assert.match(await response.text(), /UNAUTHORIZED/);
  }
});

test('who is refused and then neither sends nor ends is let go', async () => {
  const socket = open(['PUT /v2/ana/x/manifests/v1', 'content-length: 1000000']);
  await written(socket, 'a beginning');
  assert.match(await everything(socket), /^HTTP\/1.1 401 /);
  socket.destroy();
});

test('a body that is read to its end leaves the connection open for the next request', async () => {
  const socket = open(['PUT /v2/ana/x/manifests/v1', 'content-length: 3'], 'abc');
  const answers: string[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    answers.push(chunk.toString());
    if (answers.length === 2) break;
    await new Promise<void>((done) => socket.write(`GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n`, () => done()));
  }
  assert.match(answers[0] ?? '', /^HTTP\/1.1 401 /);
  assert.match(answers[1] ?? '', /^HTTP\/1.1 200 /);
});
