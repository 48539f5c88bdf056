import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from './crc32c.ts';

test('crc32c is the standard one before its last inversion', () => {
  assert.equal(crc32c(Buffer.from('123456789')), ~0xe3069283 >>> 0);
  assert.equal(crc32c(Buffer.alloc(32)), ~0x8a9136aa >>> 0); // RFC 3720 B.4
});
