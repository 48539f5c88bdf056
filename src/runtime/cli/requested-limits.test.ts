import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestedLimits } from './requested-limits.ts';

test('requestedLimits: what is 0 or empty is not asked for, except where 0 is a value', () => {
  assert.deepEqual(
    requestedLimits({
      memory: { limit: 0, swap: -1, swappiness: 0 },
      cpu: { shares: 0, quota: 0, cpus: '', mems: '' },
      pids: { limit: 0 },
      blockIO: { weight: 0, weightDevice: [] },
      unified: { 'memory.high': '1' },
      hugepageLimits: [],
    }),
    { memory: { swap: -1, swappiness: 0 }, unified: { 'memory.high': '1' } },
  );
});
