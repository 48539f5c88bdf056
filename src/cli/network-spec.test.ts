import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseNetwork } from './network-spec.ts';

test('parseNetwork reads a name, or a name with what is asked of the network', () => {
  assert.deepEqual(parseNetwork('front'), { name: 'front', endpoint: {} });
  assert.deepEqual(parseNetwork('container:web'), { name: 'container:web', endpoint: {} });
  assert.deepEqual(parseNetwork('name=front,alias=web,alias=www,ip=10.0.0.5,mac-address=02:42:00:00:00:01'), {
    name: 'front',
    endpoint: { IPAMConfig: { IPv4Address: '10.0.0.5' }, Aliases: ['web', 'www'], MacAddress: '02:42:00:00:00:01' },
  });
  assert.deepEqual(parseNetwork('name=front,driver-opt=a=b,gw-priority=3').endpoint, {
    DriverOpts: { a: 'b' },
    GwPriority: 3,
  });
  for (const text of ['alias=web', 'name=a,colour=red', 'name=a,gw-priority=high'])
    assert.throws(() => parseNetwork(text), Error, text);
});
