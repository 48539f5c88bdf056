import assert from 'node:assert/strict';
import test from 'node:test';
import { page } from './page.js';

test('a name is text, whatever it holds', () => {
  assert.match(page('<b>', 1), /Hello &lt;b&gt;, you are here for 1 visit\./);
});
