import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldBytes, keyBytes, keyLength, keyTypeNumber } from './nftables-keys.ts';

test('keyBytes pads each field of a concatenation to words, and no field that is alone', () => {
  const port = fieldBytes.port(8080);
  assert.equal(keyBytes(['port'], [port]).toString('hex'), '1f90');
  const key = keyBytes(['protocol', 'port'], [fieldBytes.protocol('udp'), port]);
  assert.equal(key.toString('hex'), '110000001f900000');
  assert.equal(keyLength(['link', 'mac', 'address']), 16 + 8 + 4);
});

test("keyTypeNumber packs nft's type numbers in 6 bits each", () => {
  assert.equal(keyTypeNumber(['address']), 7);
  assert.equal(keyTypeNumber(['address', 'protocol', 'port']), (7 << 12) | (12 << 6) | 13);
});

test('keyBytes refuses a field that does not fit its type', () => {
  assert.throws(() => keyBytes(['address', 'port'], [Buffer.alloc(4), Buffer.alloc(4)]), { kind: 'internal' });
  assert.throws(() => keyBytes(['address', 'port'], [Buffer.alloc(4)]), { kind: 'internal' });
});
