import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLeases } from './leases.ts';

test('createLeases: what is held is not deleted, and a hold waits for a deletion that has begun', async () => {
  const leases = createLeases();
  const release = await leases.hold(['a']);
  assert.equal(await leases.deleting('a', async () => true), false);
  release();
  release();
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const deletion = leases.deleting('a', async () => {
    await gate.promise;
    order.push('deleted');
    return true;
  });
  const held = leases.hold(['a']).then(() => order.push('held'));
  gate.resolve();
  assert.equal(await deletion, true);
  await held;
  assert.deepEqual(order, ['deleted', 'held']);
});
