import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineEvent } from '#engine/index.ts';
import { eventTest } from './event-filters.ts';

const event = (
  type: EngineEvent['type'],
  action: string,
  id: string,
  attributes: Record<string, string>,
): EngineEvent => ({
  ...{ type, action, id, attributes },
  time: new Date(),
});
const events = [
  event('container', 'exec_create: ls', 'c1', { name: 'web', image: 'busybox:latest', tier: 'front' }),
  event('image', 'pull', 'sha256:1', { name: 'busybox:latest' }),
  event('network', 'connect', 'n1', { name: 'side' }),
  event('volume', 'create', 'kept', { driver: 'local' }),
];

test('eventTest takes what fits every key by one of its values', () => {
  const found = (filters: Record<string, string[]>) =>
    events.filter(eventTest(new Map(Object.entries(filters)))).map(({ id }) => id);
  assert.deepEqual(found({}), ['c1', 'sha256:1', 'n1', 'kept']);
  assert.deepEqual(found({ type: ['image', 'volume'] }), ['sha256:1', 'kept']);
  assert.deepEqual(found({ event: ['exec_create'] }), ['c1']);
  assert.deepEqual(found({ event: ['exec'] }), []);
  assert.deepEqual(found({ container: ['web'], event: ['exec_create: ls'] }), ['c1']);
  assert.deepEqual(found({ image: ['busybox'] }), ['c1', 'sha256:1']);
  assert.deepEqual(found({ network: ['side', 'x'] }), ['n1']);
  assert.deepEqual(found({ volume: ['kept'] }), ['kept']);
  assert.deepEqual(found({ label: ['tier=front'] }), ['c1']);
  assert.deepEqual(found({ label: ['tier=back'] }), []);
  assert.deepEqual(found({ scope: ['swarm'] }), []);
  assert.deepEqual(found({ service: ['x'] }), []);
});
