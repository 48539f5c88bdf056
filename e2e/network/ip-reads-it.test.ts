import './own-namespace.ts';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { kernel, linkNamed, openNetlink, rtnetlink } from '#linux/index.ts';
import { startMachine } from './machine.ts';

type Json = Readonly<Record<string, unknown>>;
const ip = (...args: string[]): readonly Json[] => JSON.parse(execFileSync('ip', ['-j', '-d', ...args]).toString());
const inside = (pid: number, ...args: string[]): readonly Json[] =>
  JSON.parse(execFileSync('nsenter', ['-t', String(pid), '-n', 'ip', '-j', '-d', ...args]).toString());
/** A field of the first row, by its names from outside in. */
const field = (rows: readonly Json[], ...names: readonly string[]): unknown =>
  names.reduce<unknown>((value, name) => (value as Json | undefined)?.[name], rows[0]);
/** Of the first row, the fields that are expected. */
function reads(rows: readonly Json[], expected: Json): void {
  const [row = {}] = rows;
  assert.deepEqual(Object.fromEntries(Object.keys(expected).map((key) => [key, row[key]])), expected);
}

test('ip(8) reads each message of rtnetlink as it was meant', async () => {
  await using machine = await startMachine();
  using host = openNetlink(kernel, 'route');
  const address = (text: string) => Buffer.from(text.split('.').map(Number));

  host.request([rtnetlink.createBridge({ name: 'gtip0', mac: '02:42:0a:00:00:01', mtu: 1400 })], 'bridge');
  const bridge = linkNamed(host, 'gtip0').index;
  reads(ip('link', 'show', 'gtip0'), { ifname: 'gtip0', mtu: 1400, address: '02:42:0a:00:00:01', operstate: 'DOWN' });
  host.request(
    [
      rtnetlink.setLink(bridge, { alias: 'gantry:ip', up: true }),
      rtnetlink.addAddress({ index: bridge, address: address('10.77.0.1'), prefixLength: 24 }),
      rtnetlink.addAddress({
        index: bridge,
        address: Buffer.from('fd770000000000000000000000000001', 'hex'),
        prefixLength: 64,
      }),
    ],
    'address',
  );
  reads(ip('link', 'show', 'gtip0'), { ifalias: 'gantry:ip' });
  const addresses = field(ip('address', 'show', 'gtip0'), 'addr_info') as readonly Json[];
  const found = addresses.map(({ local, prefixlen, broadcast }) => `${local}/${prefixlen} ${broadcast}`);
  assert.ok(found.includes('10.77.0.1/24 10.77.0.255'), found.join());
  assert.ok(found.includes('fd77::1/64 undefined'), found.join());

  host.request(
    [
      rtnetlink.createVeth(
        { name: 'gtip1', mtu: 1300, master: bridge, up: true },
        { name: 'eth0', mac: '02:42:0a:4d:00:02', mtu: 1300 },
        machine.fd,
      ),
      rtnetlink.setLink('gtip1', { hairpin: true, isolated: true }),
    ],
    'veth',
  );
  reads(ip('link', 'show', 'gtip1'), { mtu: 1300, master: 'gtip0' });
  const pair = ip('link', 'show', 'gtip1');
  assert.equal(field(pair, 'linkinfo', 'info_kind'), 'veth');
  assert.equal(field(pair, 'linkinfo', 'info_slave_data', 'hairpin'), true);
  assert.equal(field(pair, 'linkinfo', 'info_slave_data', 'isolated'), true);
  reads(inside(machine.pid, 'link', 'show', 'eth0'), { mtu: 1300, address: '02:42:0a:4d:00:02', operstate: 'DOWN' });

  using there = openNetlink(kernel, 'route', machine.fd);
  const { index } = linkNamed(there, 'eth0');
  there.request(
    [
      rtnetlink.setLink(index, { up: true }),
      rtnetlink.addAddress({ index, address: address('10.77.0.2'), prefixLength: 24 }),
      rtnetlink.addDefaultRoute(index, address('10.77.0.1')),
    ],
    'inside',
  );
  reads(inside(machine.pid, 'route', 'show', 'default'), { dst: 'default', gateway: '10.77.0.1', dev: 'eth0' });
  there.request([rtnetlink.deleteDefaultRoute(4)], 'route');
  assert.deepEqual(inside(machine.pid, 'route', 'show', 'default'), []);
  there.request([rtnetlink.addDeviceRoute(index)], 'route');
  const [byDevice] = inside(machine.pid, 'route', 'show', 'default');
  assert.equal(byDevice?.dev, 'eth0');
  assert.equal(byDevice?.gateway, undefined);

  const stacked = { name: 'gtip2', mode: 'private', kind: 'macvlan', parent: bridge, mtu: 1200 } as const;
  host.request([rtnetlink.createStacked(stacked)], 'macvlan');
  const macvlan = ip('link', 'show', 'gtip2');
  reads(macvlan, { mtu: 1200, link: 'gtip0' });
  assert.equal(field(macvlan, 'linkinfo', 'info_data', 'mode'), 'private');

  host.request([rtnetlink.setLink('gtip1', { group: 4711 }), rtnetlink.setLink('gtip2', { group: 4711 })], 'group');
  reads(ip('link', 'show', 'gtip1'), { group: '4711' });
  host.request([rtnetlink.deleteGroup(4711)], 'group');
  host.request([rtnetlink.deleteLink('gtip0')], 'delete');
  assert.deepEqual(
    ip('link', 'show').map(({ ifname }) => ifname),
    ['lo'],
  );
});
