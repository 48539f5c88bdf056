import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  chooseSubnet,
  formatRange,
  lastAddress,
  networkPools,
  nextAddress,
  overlaps,
  parsePool,
  parseRange,
  parseSubnet,
  type Range,
  type Subnet,
} from './subnets.ts';

const range = (text: string): Range => parseRange(text, 'range');

test('parseSubnet takes a gateway with a prefix length, and says what is wrong with others', () => {
  const subnet = parseSubnet('172.17.3.1/16');
  assert.deepEqual([formatRange(subnet), subnet.gateway], ['172.17.0.0/16', 0xac110301n]);
  for (const text of [
    '172.17.0.1',
    '172.17.0.1/31',
    '172.17.0.1/7',
    '172.17.0.0/16',
    '172.17.255.255/16',
    'x/16',
    '1.2.3.4/16/1',
    'fd00::1/64',
  ])
    assert.throws(() => parseSubnet(text), { kind: 'invalid', message: new RegExp(`"${text}".*172\\.17\\.0\\.1/16`) });
});

test('parseRange takes networks of both families, and says what one with bits behind its prefix should be', () => {
  for (const text of ['10.0.0.0/8', '192.0.2.128/25', '2001:db8::/32', 'fd00:1:2:3::/64', '::/0'])
    assert.equal(formatRange(range(text)), text);
  assert.throws(() => range('10.5.0.7/24'), { kind: 'invalid', message: /it should be 10\.5\.0\.0\/24/ });
  for (const text of ['10.0.0.0', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/', '/8', '10.0.0.0/8/8', '10.0.0/8'])
    assert.throws(() => range(text), { kind: 'invalid' }, text);
});

test('overlaps is symmetric and holds exactly where two ranges share an address', () => {
  const ranges = [
    ...['10.0.0.0/8', '10.1.0.0/16', '10.1.128.0/17', '10.2.0.0/16', '0.0.0.0/0', '255.255.255.252/30'],
    ...['fd00::/8', 'fd00:1::/32', 'fe80::/10', '::/0'],
  ].map(range);
  for (const a of ranges)
    for (const b of ranges) {
      assert.equal(overlaps(a, b), overlaps(b, a));
      const share = a.network <= lastAddress(b) && b.network <= lastAddress(a);
      assert.equal(overlaps(a, b), a.family === b.family && share);
    }
});

test('chooseSubnet takes the first pool that overlaps nothing, and says so where there is none', () => {
  assert.equal(formatRange(chooseSubnet([])), '172.17.0.0/16');
  assert.equal(formatRange(chooseSubnet(['172.17.9.0/24', '172.18.0.0/15'].map(range))), '172.20.0.0/16');
  assert.equal(formatRange(chooseSubnet([range('172.16.0.0/12')])), '192.168.0.0/20');
  assert.throws(() => chooseSubnet(['172.16.0.0/12', '192.168.0.0/16'].map(range)), { code: 'no-subnet' });
});

test('chooseSubnet cuts thousands of networks from the default pools, none overlapping another', () => {
  const taken: Range[] = ['172.17.0.0/16', '172.19.0.0/16', '172.20.3.0/25'].map(range);
  for (let count = 0; count < 500; count++) {
    const next = chooseSubnet(taken, networkPools);
    assert.ok(!taken.some((other) => overlaps(other, next)), formatRange(next));
    taken.push(next);
  }
  const [first, , , last] = [...taken.slice(3, 6), taken.at(-1)];
  assert.equal(first && formatRange(first), '172.18.0.0/24');
  assert.equal(last && formatRange(last), '172.20.244.0/24');
});

test('parsePool reads a pool that is cut into networks of its size', () => {
  const pools = [parsePool('base=10.9.0.0/23,size=24'), parsePool('base=fd00:9::/48,size=64')];
  const cut: Subnet[] = [];
  for (let count = 0; count < 3; count++) cut.push(chooseSubnet(cut, pools));
  assert.deepEqual(cut.map(formatRange), ['10.9.0.0/24', '10.9.1.0/24', 'fd00:9::/64']);
  for (const text of ['', 'base=10.0.0.0/8', 'base=10.0.0.0/24,size=16', 'base=10.0.0.0/8,size=31', '10.0.0.0/8'])
    assert.throws(() => parsePool(text), { kind: 'invalid' }, text);
});

test('nextAddress gives each host address of a network once before any again, and never its ends or the gateway', () => {
  for (const [text, hosts] of [
    ['192.0.2.1/30', 1],
    ['192.0.2.6/29', 5],
    ['192.0.2.77/24', 253],
    ['10.0.15.3/20', 4093],
  ] as const) {
    const subnet = parseSubnet(text);
    const used = new Set<bigint>();
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
    const [freed = 0n] = used;
    used.delete(freed);
    assert.equal(nextAddress(subnet, used, last), freed);
  }
});

test('nextAddress stays in the range to choose from, and leaves auxiliary addresses alone', () => {
  const subnet: Subnet = {
    ...parseSubnet('10.5.0.1/24'),
    chosenFrom: range('10.5.0.128/29'),
    auxiliary: new Map([['router', range('10.5.0.130/32').network]]),
  };
  const used = new Set<bigint>();
  for (let next = nextAddress(subnet, used, 0n); next !== undefined; next = nextAddress(subnet, used, next))
    used.add(next);
  assert.deepEqual([...used].map((value) => Number(value & 255n)).toSorted(), [128, 129, 131, 132, 133, 134, 135]);
});

test('nextAddress finds its way in an IPv6 network, whose last address is a host', () => {
  const subnet: Subnet = { ...range('fd00::/126'), gateway: range('fd00::/126').network + 1n };
  const used = new Set<bigint>();
  for (let next = nextAddress(subnet, used, 0n); next !== undefined; next = nextAddress(subnet, used, next))
    used.add(next);
  assert.deepEqual(
    [...used].map((value) => value & 255n),
    [2n, 3n],
  );
});
