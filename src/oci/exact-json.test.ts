import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exactJson, parseExactJson } from './exact-json.ts';

test('parseExactJson and exactJson keep every digit, and small numbers numbers', () => {
  const text = '{"a":18446744073709551615,"b":-9223372036854775808,"c":[1,2.5,9007199254740991],"d":1e20}';
  const value = parseExactJson(text);
  assert.deepEqual(value, { a: 2n ** 64n - 1n, b: -(2n ** 63n), c: [1, 2.5, 2 ** 53 - 1], d: 1e20 });
  assert.equal(exactJson(value), text.replace('1e20', '100000000000000000000'));
  assert.deepEqual(
    parseExactJson('{"a":null}', (_, v) => v ?? undefined),
    {},
  );
});
