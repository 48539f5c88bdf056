import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isGantryError } from '#errors/index.ts';
import {
  attribute,
  decodeError,
  decodeMessages,
  encodeMessage,
  type NetlinkMessage,
  nested,
  readAttributes,
  textAttribute,
} from './netlink.ts';
import { readLink } from './rtnetlink.ts';

/** xorshift32: the same numbers every time. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
const randomBytes = (next: (below: number) => number, longest: number) =>
  Buffer.from(Array.from({ length: next(longest) }, () => next(256)));

test('encodeMessage and attribute are what decodeMessages and readAttributes read', () => {
  const next = numbers(1);
  for (let round = 0; round < 300; round++) {
    const attributes = new Map(Array.from({ length: next(6) }, () => [1 + next(0x3fff), randomBytes(next, 40)]));
    const body = Buffer.concat([...attributes].map(([type, bytes]) => attribute(type, bytes)));
    const message: NetlinkMessage = { type: next(65536), flags: next(65536), body };
    const stream = Buffer.concat([encodeMessage(message, 7), encodeMessage(message, 8)]);
    const [first, second, ...more] = decodeMessages(stream);
    assert.deepEqual({ ...first }, { ...message, sequence: 7, port: 0 });
    assert.equal(second?.sequence, 8);
    assert.equal(more.length, 0);
    assert.deepEqual(readAttributes(first?.body ?? Buffer.alloc(0)), attributes);
  }
});

test('nested attributes are marked, aligned and read without the mark', () => {
  const bytes = nested(5, textAttribute(1, 'lo'), attribute(2, Uint8Array.of(9)));
  assert.equal(bytes.toString('hex'), '14000580070001006c6f00000500020009000000');
  assert.deepEqual(
    [...readAttributes(readAttributes(bytes).get(5) ?? Buffer.alloc(0))],
    [
      [1, Buffer.from('lo\0')],
      [2, Buffer.of(9)],
    ],
  );
});

test('the decoders answer any bytes with a value or with an error of kind corrupt', () => {
  const next = numbers(2);
  const decoders: readonly ((bytes: Buffer) => unknown)[] = [
    decodeMessages,
    readAttributes,
    readLink,
    (body) => decodeError({ type: 2, flags: next(2) * 0x200, body }),
  ];
  for (let round = 0; round < 20_000; round++) {
    const bytes = randomBytes(next, 96);
    // Lengths that nearly fit get further in than wholly random ones.
    if (bytes.length >= 4 && next(2) === 0) bytes.writeUInt32LE(next(bytes.length + 8), next(bytes.length - 3));
    for (const decode of decoders)
      try {
        decode(bytes);
      } catch (error) {
        assert.ok(isGantryError(error, 'corrupt'), String(error));
      }
  }
});
