import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { encodePlan, type OperationName, operations } from './plan.ts';

test('operations are those of native/plan.h, by name, code and signature', () => {
  const header = readFileSync(new URL('../../native/plan.h', import.meta.url), 'utf8');
  const native = [...header.matchAll(/^\s*X\((\w+), (\d+), "(\w*)"\)/gm)].map(([, name = '', code, signature]) => [
    name.toLowerCase().replaceAll('_', '-'),
    Number(code),
    signature,
  ]);
  assert.deepEqual(
    native,
    Object.entries(operations).map(([name, [code, signature]]) => [name, code, signature]),
  );
});

test('encodePlan writes numbers, strings, bytes and lists as the decoder reads them', () => {
  const plan = encodePlan([
    { name: 'setns', args: [3, 0x40000000] },
    { name: 'write', args: ['/p', Buffer.from('0')] },
    { name: 'exec', args: [['/a', '/b'], ['a'], [], 1] },
  ]);
  const hex = (...parts: readonly string[]) => parts.join('');
  assert.equal(
    plan.toString('hex'),
    hex(
      '47504c31' + '03000000',
      '2000' + '0000' + '10000000' + '0300000000000000' + '0000004000000000',
      '2200' + '0000' + '0c000000' + '03000000' + '2f7000' + '01000000' + '30',
      '4c00' +
        '0000' +
        '1c000000' +
        '06000000' +
        '2f61002f6200' +
        '02000000' +
        '6100' +
        '00000000' +
        '0100000000000000',
    ),
  );
});

test('encodePlan takes -1 as all bits, and refuses a NUL in a string and a wrong argument', () => {
  assert.ok(
    encodePlan([{ name: 'umask', args: [-1] }])
      .toString('hex')
      .endsWith('ff'.repeat(8)),
  );
  assert.throws(() => encodePlan([{ name: 'mask', args: ['/a\0b'] }]), { kind: 'invalid', message: /NUL/ });
  assert.throws(() => encodePlan([{ name: 'mask', args: [1] }]), TypeError);
  assert.throws(() => encodePlan([{ name: 'mask', args: [] }]), TypeError);
});

test('operation names are unique by code', () => {
  const codes = (Object.keys(operations) as OperationName[]).map((name) => operations[name][0]);
  assert.equal(new Set(codes).size, codes.length);
});
