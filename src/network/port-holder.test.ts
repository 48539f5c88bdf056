import assert from 'node:assert/strict';
import { test } from 'node:test';
import { socketsOn } from './port-holder.ts';

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:1F91 0100007F:C002 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0000000000000000
   3: 0100007F:1F92 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 4244 1 0000000000000000 20 4 30 10 -1
`;

test('socketsOn prefers who listens, leaves out what is nobody’s any more, and looks at the local port', () => {
  assert.deepEqual(socketsOn(table, 8080), ['4242']);
  assert.deepEqual(socketsOn(table, 8081), []);
  assert.deepEqual(socketsOn(table, 8082), ['4244']);
});
