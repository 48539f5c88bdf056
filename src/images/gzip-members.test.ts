import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { gzipMembers } from './gzip-members.ts';

async function* cut(data: Buffer, size: number) {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}
const whole = async (source: AsyncIterable<Buffer>) => Buffer.concat(await Array.fromAsync(source));

test('gzipMembers writes one legal gzip file whose bytes do not depend on how the input is cut', async () => {
  const data = Buffer.concat([randomBytes(1_500_000), Buffer.alloc(3_000_000, 'layer')]);
  const a = await whole(gzipMembers(cut(data, 65_536)));
  assert.deepEqual(a, await whole(gzipMembers(cut(data, 999_983))));
  assert.deepEqual(gunzipSync(a), data);
  const gnu = spawnSync('gzip', ['-dc'], { input: a, maxBuffer: 1 << 24 });
  assert.equal(gnu.status, 0);
  assert.deepEqual(gnu.stdout, data);
});

test('gzipMembers of nothing is an empty gzip file', async () => {
  assert.equal(gunzipSync(await whole(gzipMembers(cut(Buffer.alloc(0), 1)))).length, 0);
});
