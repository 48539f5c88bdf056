import './own-namespace.ts';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { kernel, linkNamed, openNetlink } from '#linux/index.ts';
import { createNetworks, type Endpoint, type Networks } from '#network/index.ts';
import { until } from '../harness/program.ts';
import { inside, type Machine, startMachine } from './machine.ts';

let networks: Networks;
before(async () => {
  networks = createNetworks({ db: new DatabaseSync(':memory:') }, { bridge: 'gthost0' });
  await networks.open(new Set());
  await networks.create({
    name: 'six',
    addressing: [{ subnet: '10.66.0.0/24' }, { subnet: 'fd66::/64' }],
    options: { 'com.docker.network.bridge.name': 'gthost6' },
  });
});
after(() => networks[Symbol.asyncDispose]());

async function join(owner: string): Promise<{ machine: Machine; endpoint: Endpoint } & AsyncDisposable> {
  const machine = await startMachine();
  const endpoint = await networks.reserve({ owner, ownerName: owner, network: 'six', ports: [] });
  await networks.connect(endpoint, machine.pid);
  return {
    machine,
    endpoint,
    async [Symbol.asyncDispose]() {
      await networks.release(owner);
      await machine[Symbol.asyncDispose]();
    },
  };
}

const AF_INET6 = 10;
const SOCK_RAW = 3;
const IPPROTO_ICMPV6 = 58;
const IPPROTO_IPV6 = 41;
const IPV6_MULTICAST_HOPS = 18;

/** Sends an ICMPv6 message to all nodes of a link, as a program with CAP_NET_RAW there can. */
function sayToAll(namespace: number | undefined, link: string, message: Buffer): void {
  using netlink = openNetlink(kernel, 'route', namespace);
  const { index } = linkNamed(netlink, link);
  const args = [AF_INET6, SOCK_RAW, IPPROTO_ICMPV6] as const;
  const fd =
    namespace === undefined ? kernel.call('socket', ...args) : kernel.callInNamespace(namespace, 'socket', ...args);
  assert.ok(fd >= 0);
  try {
    const hops = Buffer.from([255, 0, 0, 0]);
    assert.equal(kernel.call('setsockopt', fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hops, 4), 0);
    const to = Buffer.alloc(28);
    to.writeUInt16LE(AF_INET6, 0);
    to.set(Buffer.from('ff020000000000000000000000000001', 'hex'), 8);
    to.writeUInt32LE(index, 24);
    assert.equal(kernel.call('sendto', fd, message, message.length, 0, to, to.length), message.length);
  } finally {
    kernel.call('close', fd);
  }
}

/** "I am a router, for half an hour" (RFC 4861, 4.2). */
const routerAdvertisement = () => Buffer.from([134, 0, 0, 0, 64, 0, 0x07, 0x08, ...new Uint8Array(8)]);
const linkLocal = (text: string) => /fe80:[0-9a-f:]+/.test(text) && !text.includes('tentative');

test('a router advertisement of a container reaches neither its neighbour nor the host (CVE-2020-13401)', async () => {
  await using thief = await join('thief');
  await using victim = await join('victim');
  const routes = () => inside(victim.machine, 'ip', '-6', 'route');
  // Even a neighbour that would believe one.
  inside(victim.machine, 'sysctl', '-w', 'net.ipv6.conf.eth0.accept_ra=2', 'net.ipv6.conf.eth0.accept_ra_defrtr=1');
  inside(victim.machine, 'ip', '-6', 'route', 'del', 'default');
  for (const machine of [thief.machine, victim.machine])
    await until(() => (linkLocal(inside(machine, 'ip', '-6', 'addr', 'show', 'eth0')) ? true : undefined));
  sayToAll(thief.machine.fd, 'eth0', routerAdvertisement());
  // The host's own does arrive, after it: then the other never will.
  await until(() =>
    linkLocal(execFileSync('busybox', ['ip', '-6', 'addr', 'show', 'gthost6'], { encoding: 'utf8' }))
      ? true
      : undefined,
  );
  sayToAll(undefined, 'gthost6', routerAdvertisement());
  const seen = await until(() => (routes().includes('default') ? routes() : undefined));
  const own = /fe80:[0-9a-f:]+/.exec(inside(thief.machine, 'ip', '-6', 'addr', 'show', 'eth0'))?.[0] ?? 'none';
  assert.doesNotMatch(seen, new RegExp(own));
  assert.equal(readFileSync('/proc/sys/net/ipv6/conf/gthost6/accept_ra', 'utf8').trim(), '0');
  assert.doesNotMatch(execFileSync('busybox', ['ip', '-6', 'route'], { encoding: 'utf8' }), /default/);
});

test('a container does not take a neighbour\u2019s IPv6 address: it is neither heard from there, nor believed to have it', async () => {
  await using thief = await join('thief');
  await using victim = await join('victim');
  await using client = await join('client');
  const { address6 = '' } = victim.endpoint;
  const reached = () => inside(client.machine, 'ping', '-6', '-c', '1', '-W', '2', address6);
  assert.match(reached(), / 0% packet loss/);
  // Busybox's `ip` knows no `nodad`: the address would be given up at once, since its owner is heard.
  const enter = ['-t', String(thief.machine.pid), '-n'];
  execFileSync('nsenter', [...enter, 'ip', '-6', 'addr', 'add', `${address6}/64`, 'dev', 'eth0', 'nodad']);
  inside(client.machine, 'ip', 'neigh', 'flush', 'dev', 'eth0');
  // An unsolicited advertisement that overrides what is known (RFC 4861, 4.4), with the thief's own MAC.
  const target = Buffer.from('fd660000000000000000000000000000', 'hex');
  target.set(Buffer.from(address6.split('::')[1]?.padStart(4, '0') ?? '', 'hex'), 14);
  const mac = Buffer.from(thief.endpoint.mac.replaceAll(':', ''), 'hex');
  sayToAll(
    thief.machine.fd,
    'eth0',
    Buffer.concat([Buffer.from([136, 0, 0, 0, 0x20, 0, 0, 0]), target, Buffer.from([2, 1]), mac]),
  );
  assert.match(reached(), / 0% packet loss/);
  assert.match(inside(client.machine, 'ip', '-6', 'neigh', 'show', address6), new RegExp(victim.endpoint.mac));
});

test('a container cannot answer for the resolver of another: that is in the other\u2019s own namespace', async () => {
  await using thief = await join('thief');
  await using victim = await join('victim');
  await networks.serveNames('victim', victim.machine.pid, { servers: [] });
  inside(thief.machine, 'ip', 'addr', 'add', '127.0.0.11/32', 'dev', 'eth0');
  inside(thief.machine, 'sysctl', '-w', 'net.ipv4.conf.all.route_localnet=1');
  const asked = new Promise<string>((done) =>
    import('node:child_process').then(({ execFile }) =>
      execFile(
        'nsenter',
        ['-t', String(victim.machine.pid), '-n', 'busybox', 'nslookup', 'thief', '127.0.0.11'],
        (_error, stdout) => done(stdout),
      ),
    ),
  );
  assert.match(await asked, new RegExp(`Address: ${thief.endpoint.address}\\b`));
});
