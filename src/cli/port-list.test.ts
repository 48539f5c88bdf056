import assert from 'node:assert/strict';
import { test } from 'node:test';
import { portList } from './port-list.ts';

const port = (
  PrivatePort: number,
  PublicPort?: number,
  IP = PublicPort === undefined ? undefined : '0.0.0.0',
  Type = 'tcp',
) => ({
  PrivatePort,
  Type,
  ...(PublicPort === undefined ? {} : { PublicPort }),
  ...(IP === undefined ? {} : { IP }),
});

test('portList shows ports as ps does', () => {
  assert.equal(portList([]), '');
  assert.equal(portList([port(80)]), '80/tcp');
  assert.equal(portList([port(80, 8080)]), '0.0.0.0:8080->80/tcp');
  assert.equal(portList([port(80, 8080), port(80, 8080, '::')]), '0.0.0.0:8080->80/tcp, [::]:8080->80/tcp');
  assert.equal(portList([port(80, 80), port(81, 81), port(82, 82)]), '0.0.0.0:80-82->80-82/tcp');
  assert.equal(portList([port(9), port(7), port(8), port(53, undefined, undefined, 'udp')]), '7-9/tcp, 53/udp');
});
