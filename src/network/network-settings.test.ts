import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordFor, type Surroundings, settingsOf } from './network-settings.ts';
import { type NetworkRecord, rangesOf } from './network-store.ts';
import { contains, formatRange, networkAddress, overlaps, parseRange } from './subnets.ts';

const around = (others: readonly NetworkRecord[] = [], inUse: readonly string[] = []): Surroundings => ({
  others,
  inUse: inUse.map((text) => parseRange(text, 'range')),
  pools: undefined,
  engineId: 'e'.repeat(64),
});

test('a hundred networks of both families have ranges of their own, none of them the host\u2019s', () => {
  const made: NetworkRecord[] = [];
  const host = ['172.18.7.0/24', '172.20.0.0/14', 'fd00::/16'];
  for (let count = 0; count < 100; count++) made.push(recordFor({ name: `n${count}`, ipv6: true }, around(made, host)));
  const ranges = made.flatMap(rangesOf);
  assert.equal(ranges.length, 200);
  for (const [index, range] of ranges.entries()) {
    for (const other of ranges.slice(index + 1)) assert.ok(!overlaps(range, other), formatRange(range));
    for (const text of host) assert.ok(!overlaps(range, parseRange(text, 'range')), formatRange(range));
  }
  // All of an engine's IPv6 networks are of one /48 (RFC 4193).
  const six = made.flatMap(({ ipv6 }) => (ipv6 === undefined ? [] : [ipv6]));
  const first = six[0];
  assert.ok(first !== undefined);
  const site = parseRange(`${formatRange(first).split('::')[0]?.split(':').slice(0, 3).join(':')}::/48`, 'site');
  for (const one of six) assert.ok(contains(site, networkAddress(one)), formatRange(one));
});

test('recordFor refuses what contradicts itself or others, naming it', () => {
  const other = recordFor({ name: 'other', addressing: [{ subnet: '10.5.0.0/16' }] }, around());
  const refused = (request: object, message: RegExp, kind = 'invalid') =>
    assert.throws(() => recordFor({ name: 'new', ...request }, around([other])), { kind, message });
  refused({ name: 'other' }, /network with name other already exists/, 'conflict');
  refused({ name: '../x' }, /"\.\.\/x"/);
  refused({ driver: 'overlay' }, /"overlay" not found/, 'not-found');
  refused({ driver: 'host' }, /only one instance of "host"/, 'forbidden');
  refused({ addressing: [{ subnet: '10.5.9.0/24' }] }, /10\.5\.9\.0\/24 and 10\.5\.0\.0\/16/, 'conflict');
  refused({ addressing: [{ subnet: '10.6.0.0/31' }] }, /10\.6\.0\.0\/31/);
  refused({ addressing: [{ subnet: '10.6.0.0/24', gateway: '10.7.0.1' }] }, /10\.7\.0\.1/);
  refused({ addressing: [{ subnet: '10.6.0.0/24', gateway: '10.6.0.255' }] }, /10\.6\.0\.255/);
  refused({ addressing: [{ subnet: '10.6.0.0/24', ipRange: '10.7.0.0/25' }] }, /10\.7\.0\.0\/25/);
  refused({ addressing: [{ subnet: '10.6.0.0/24', auxiliary: { a: 'x' } }] }, /auxiliary address a.*"x"/);
  refused(
    { addressing: [{ subnet: '10.6.0.0/24' }, { subnet: '10.7.0.0/24' }] },
    /more than one subnet/,
    'unsupported',
  );
});

test('settingsOf reads options as Docker spells them, and refuses others by name', () => {
  const options = {
    'com.docker.network.driver.mtu': '1300',
    'com.docker.network.bridge.enable_icc': 'false',
    'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1',
  };
  const { mtu, icc, masquerade, hostAddress } = settingsOf(options);
  assert.deepEqual([mtu, icc, masquerade, hostAddress], [1300, false, true, '127.0.0.1']);
  for (const [name, value] of [
    ['com.docker.network.driver.mtu', '20'],
    ['com.docker.network.bridge.enable_icc', 'perhaps'],
    ['com.docker.network.bridge.host_binding_ipv4', 'localhost'],
  ] as const)
    assert.throws(() => settingsOf({ [name]: value }), { kind: 'invalid', message: new RegExp(value) });
  assert.throws(() => settingsOf({ colour: 'red' }), { kind: 'unsupported', message: /"colour"/ });
});
