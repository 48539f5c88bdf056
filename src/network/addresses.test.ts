import assert from 'node:assert/strict';
import { SocketAddress } from 'node:net';
import { test } from 'node:test';
import { addressBytes, addressFromBytes, formatAddress, parseAddress } from './addresses.ts';

test('parseAddress reads what formatAddress writes, and no other spelling of IPv4', () => {
  for (const text of [
    '0.0.0.0',
    '10.0.0.1',
    '127.0.0.1',
    '172.17.0.2',
    '255.255.255.255',
    '::',
    '::1',
    'fd00::2:0:0:1',
  ]) {
    const address = parseAddress(text);
    assert.ok(address !== undefined);
    assert.equal(formatAddress(address), text);
    assert.deepEqual(addressFromBytes(addressBytes(text)), address);
  }
  for (const text of ['', '1.2.3', '1.2.3.4.5', '1.2.3.256', '01.2.3.4', '1.2.3.-4', '1.2.3.4 ', '0x1.2.3.4'])
    assert.equal(parseAddress(text), undefined, text);
  for (const text of [':', '1:2:3', '::1::', 'fe80::1%eth0', '12345::', '1:2:3:4:5:6:7:8:9', '::g'])
    assert.equal(parseAddress(text), undefined, text);
});

test('IPv6 addresses are read in every spelling and written as Node writes them', () => {
  let state = 7;
  const next = () => {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    return state >> 8;
  };
  for (let round = 0; round < 500; round++) {
    const groups = Array.from({ length: 8 }, () => (next() % 3 === 0 ? next() & 0xffff : 0));
    const long = groups.map((group) => group.toString(16).padStart(4, '0')).join(':');
    const address = parseAddress(long);
    assert.ok(address !== undefined);
    const text = formatAddress(address);
    assert.deepEqual(parseAddress(text), address, text);
    const node = new SocketAddress({ family: 'ipv6', address: long }).address;
    assert.deepEqual(parseAddress(node), address, node);
  }
  assert.deepEqual(parseAddress('::ffff:192.0.2.1'), parseAddress('::ffff:c000:201'));
});
