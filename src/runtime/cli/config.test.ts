import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from './config.ts';
import { exampleSpec } from './spec.ts';

const parse = (change: object) => parseConfig(JSON.stringify({ ...exampleSpec, ...change }), '/bundle');

test('parseConfig takes what spec writes, and makes the root absolute', () => {
  assert.equal(parse({}).root.path, '/bundle/rootfs');
  assert.equal(parse({ root: { path: '/elsewhere' } }).root.path, '/elsewhere');
});

test('parseConfig ignores what the specification does not know, and nulls and empty parts', () => {
  const spec = parse({ future: { x: 1 }, hooks: { prestart: null, poststop: [] }, mounts: null });
  assert.equal(spec.mounts, undefined);
});

test('parseConfig takes limits beyond what a double holds exactly', () => {
  const rlimits = [{ type: 'RLIMIT_CORE', soft: 0, hard: 0 }];
  const json = JSON.stringify({ ...exampleSpec, process: { ...exampleSpec.process, rlimits } }).replaceAll(
    /"(soft|hard)":0/g,
    '"$1":18446744073709551615',
  );
  assert.equal(parseConfig(json, '/b').process?.rlimits?.[0]?.soft, 2n ** 64n - 1n);
});

test('parseConfig escapes pointers', () => {
  assert.throws(() => parse({ annotations: { 'a/b~c': 5 } }), /\/annotations\/a~1b~0c is 5; it must be a string/);
});
