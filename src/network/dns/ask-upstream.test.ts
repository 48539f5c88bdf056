import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { askUpstream } from './ask-upstream.ts';
import { nameBytes, type Question, readQuestion, recordType, responseCode, writeReply } from './dns-message.ts';
import { readFrames, writeFrame } from './tcp-frames.ts';

const query = Buffer.concat([
  Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
  nameBytes('example.com'),
  Buffer.from([0, recordType.a, 0, 1]),
]);
const question = readQuestion(query) as Question;
const replyTo = (asked: Buffer, last: number): Buffer => {
  const read = readQuestion(asked);
  assert.ok(read !== undefined);
  const data = Buffer.from([192, 0, 2, last]);
  return writeReply(asked, read, { code: responseCode.ok, answers: [{ type: recordType.a, data }] }, 512);
};

test('askUpstream believes only an answer to its own question and id, and gives it the id of the asker', async () => {
  const server = createSocket('udp4').bind(0, '127.0.0.1');
  await once(server, 'listening');
  server.on('message', (asked, from) => {
    const wrong = Buffer.from(asked);
    wrong.writeUInt16BE(asked.readUInt16BE(0) ^ 1, 0);
    for (const reply of [replyTo(wrong, 66), asked, Buffer.from('x'), replyTo(asked, 7)])
      server.send(reply, from.port, from.address);
  });
  try {
    const reply = await askUpstream(query, question, ['127.0.0.1'], 'udp', server.address().port);
    assert.ok(reply !== undefined);
    assert.equal(reply.readUInt16BE(0), 0x1234);
    assert.equal(reply.at(-1), 7);
  } finally {
    server.close();
  }
});

test('askUpstream asks over TCP where it was asked over TCP, and the next server where one is not there', async () => {
  const server = createServer(async (client) => {
    for await (const asked of readFrames(client)) writeFrame(client, replyTo(asked, 9));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  try {
    const reply = await askUpstream(query, question, ['127.0.0.2', '127.0.0.1'], 'tcp', port);
    assert.equal(reply?.at(-1), 9);
    assert.equal(await askUpstream(query, question, [], 'udp', port), undefined);
  } finally {
    server.close();
  }
});
