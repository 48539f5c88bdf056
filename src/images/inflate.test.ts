import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { inflate, inflateLimits } from './inflate.ts';

async function* cut(data: Uint8Array, size = 100) {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}
const whole = async (data: Uint8Array, limits = inflateLimits) =>
  Buffer.concat(await Array.fromAsync(inflate(cut(data), limits))).toString();

test('inflate goes by magic: gzip with several members, zstd, and what is neither', async () => {
  const text = 'a layer '.repeat(1000);
  assert.equal(await whole(gzipSync(text)), text);
  assert.equal(await whole(Buffer.concat([gzipSync(text), gzipSync('and more')])), `${text}and more`);
  assert.equal(await whole(zstdCompressSync(text)), text);
  assert.equal(await whole(Buffer.from(text)), text);
  assert.equal(await whole(Buffer.alloc(0)), '');
});

test('inflate refuses damage, truncation, bombs and formats it does not know', async () => {
  const gzip = gzipSync(Buffer.alloc(100_000, 'x'));
  const damaged = Buffer.from(gzip);
  damaged.writeUInt32LE(~gzip.readUInt32LE(gzip.length - 8) >>> 0, gzip.length - 8);
  await assert.rejects(whole(damaged), { kind: 'corrupt', code: 'inflate-failed' });
  await assert.rejects(whole(gzip.subarray(0, -20)), { kind: 'corrupt', code: 'inflate-failed' });
  const tight = { free: 1000, ratio: 20, most: 1 << 30 };
  await assert.rejects(whole(gzip, tight), { kind: 'exhausted', code: 'inflate-limit' });
  await assert.rejects(whole(Buffer.from('fd377a585a0000', 'hex')), { kind: 'unsupported' });
});
