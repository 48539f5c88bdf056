import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addressBytes,
  addressFromBytes,
  chooseSubnet,
  formatAddress,
  formatRange,
  lastAddress,
  nextAddress,
  overlaps,
  parseAddress,
  parseSubnet,
  type Range,
} from './subnets.ts';

const range = (text: string): Range => {
  const [address = '', prefix = ''] = text.split('/');
  return { network: parseAddress(address) ?? 0, prefixLength: Number(prefix) };
};

test('parseAddress reads what formatAddress writes, and no other spelling', () => {
  for (const text of ['0.0.0.0', '10.0.0.1', '127.0.0.1', '172.17.0.2', '255.255.255.255']) {
    const address = parseAddress(text) ?? Number.NaN;
    assert.equal(formatAddress(address), text);
    assert.equal(addressFromBytes(addressBytes(text)), address);
  }
  for (const text of ['', '1.2.3', '1.2.3.4.5', '1.2.3.256', '01.2.3.4', '1.2.3.-4', '1.2.3.4 ', '0x1.2.3.4', '::1'])
    assert.equal(parseAddress(text), undefined, text);
});

test('parseSubnet takes a gateway with a prefix length, and says what is wrong with others', () => {
  const { network, prefixLength, gateway } = parseSubnet('172.17.3.1/16');
  assert.deepEqual([formatRange({ network, prefixLength }), formatAddress(gateway)], ['172.17.0.0/16', '172.17.3.1']);
  for (const text of [
    '172.17.0.1',
    '172.17.0.1/31',
    '172.17.0.1/7',
    '172.17.0.0/16',
    '172.17.255.255/16',
    'x/16',
    '1.2.3.4/16/1',
  ])
    assert.throws(() => parseSubnet(text), { kind: 'invalid', message: new RegExp(`"${text}".*172\\.17\\.0\\.1/16`) });
});

test('overlaps is symmetric and holds exactly where two ranges share an address', () => {
  const ranges = ['10.0.0.0/8', '10.1.0.0/16', '10.1.128.0/17', '10.2.0.0/16', '0.0.0.0/0', '255.255.255.252/30'].map(
    range,
  );
  for (const a of ranges)
    for (const b of ranges) {
      assert.equal(overlaps(a, b), overlaps(b, a));
      assert.equal(overlaps(a, b), a.network <= lastAddress(b) && b.network <= lastAddress(a));
    }
});

test('chooseSubnet takes the first pool that overlaps nothing, and says so where there is none', () => {
  assert.equal(formatRange(chooseSubnet([])), '172.17.0.0/16');
  assert.equal(formatRange(chooseSubnet(['172.17.9.0/24', '172.18.0.0/15'].map(range))), '172.20.0.0/16');
  assert.equal(formatRange(chooseSubnet([range('172.16.0.0/12')])), '192.168.0.0/20');
  assert.throws(() => chooseSubnet(['172.16.0.0/12', '192.168.0.0/16'].map(range)), { code: 'no-subnet' });
});

test('nextAddress gives each host address of a network once before any again, and never its ends or the gateway', () => {
  for (const [text, hosts] of [
    ['192.0.2.1/30', 1],
    ['192.0.2.6/29', 5],
    ['192.0.2.77/24', 253],
    ['10.0.15.3/20', 4093],
  ] as const) {
    const subnet = parseSubnet(text);
    const used = new Set<number>();
    let last = subnet.gateway;
    for (let count = 0; count < hosts; count++) {
      const address = nextAddress(subnet, used, last);
      assert.ok(address !== undefined, `${text}: address ${count}`);
      assert.ok(address > subnet.network && address < lastAddress(subnet) && address !== subnet.gateway);
      assert.ok(!used.has(address));
      used.add(address);
      last = address;
    }
    assert.equal(nextAddress(subnet, used, last), undefined);
    const [freed = 0] = used;
    used.delete(freed);
    assert.equal(nextAddress(subnet, used, last), freed);
  }
});
