import assert from 'node:assert/strict';
import { test } from 'node:test';
import { networkCountersOf } from './container-stats.ts';

test('networkCountersOf reads proc_pid_net(5), without the loopback', () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:12345678901      20    1    2    0     0          0         0      900       9    3    4    0     0       0          0
`;
  assert.deepEqual(networkCountersOf(text), {
    eth0: {
      received: { bytes: 12_345_678_901, packets: 20, errors: 1, dropped: 2 },
      sent: { bytes: 900, packets: 9, errors: 3, dropped: 4 },
    },
  });
});
