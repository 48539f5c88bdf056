import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeRequest, ReplyReader, replyTypes } from './shim-protocol.ts';

function reply(type: number, stream: number, id: number, payload: string): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(payload.length, 0);
  head.writeUInt8(type, 4);
  head.writeUInt8(stream, 5);
  head.writeUInt16LE(id, 6);
  return Buffer.concat([head, Buffer.from(payload)]);
}

test('encodeRequest frames length, type, id and payload', () => {
  assert.equal(encodeRequest('kill', 7, Buffer.from([9, 0, 0, 0])).toString('hex'), '0400000007000700' + '09000000');
});

test('ReplyReader finds frames wherever the stream is cut', () => {
  const bytes = Buffer.concat([
    reply(replyTypes.ok, 0, 1, ''),
    reply(replyTypes.output, 2, 0, 'hello'),
    reply(replyTypes.outputEnd, 0, 0, ''),
  ]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const reader = new ReplyReader();
    const replies = [...reader.push(bytes.subarray(0, cut)), ...reader.push(bytes.subarray(cut))];
    assert.deepEqual(
      replies.map(({ type, stream, id, payload }) => [type, stream, id, payload.toString()]),
      [
        ['ok', 0, 1, ''],
        ['output', 2, 0, 'hello'],
        ['outputEnd', 0, 0, ''],
      ],
    );
  }
});

test('ReplyReader refuses what is no frame of a shim', () => {
  assert.throws(() => new ReplyReader().push(reply(1, 0, 0, '')), RangeError);
  const huge = reply(replyTypes.output, 1, 0, '');
  huge.writeUInt32LE(0xffffffff, 0);
  assert.throws(() => new ReplyReader().push(huge), RangeError);
});
