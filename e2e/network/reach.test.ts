import './own-namespace.ts';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { createNetworks, type Endpoint, type Networks, type PortRequest } from '#network/index.ts';
import {
  ask,
  client,
  inside,
  type Machine,
  otherHostAddress,
  ownAddress,
  serve,
  serveUdp,
  startMachine,
  startOtherHost,
} from './machine.ts';

const bridgeNetfilter = '/proc/sys/net/bridge/bridge-nf-call-iptables';
const quick = 150; // milliseconds in which nothing must come

let networks: Networks;
let otherHost: Machine;
before(async () => {
  otherHost = await startOtherHost();
  networks = createNetworks({ db: new DatabaseSync(':memory:') }, { bridge: 'gtreach0' });
  await networks.open(new Set());
});
after(async () => {
  await networks[Symbol.asyncDispose]();
  await otherHost[Symbol.asyncDispose]();
});

interface Container extends AsyncDisposable {
  readonly machine: Machine;
  readonly endpoint: Endpoint;
}

let count = 0;
async function run(name: string, ports: readonly PortRequest[] = []): Promise<Container> {
  const owner = (++count).toString(16).padStart(64, '0');
  const machine = await startMachine();
  const endpoint = await networks.reserve({ owner, ownerName: name, network: 'bridge', ports });
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
const tcp = (hostPort: number, hostAddress?: string): PortRequest => ({
  protocol: 'tcp',
  containerPort: 80,
  hostPort,
  ...(hostAddress === undefined ? {} : { hostAddress }),
});

test('a published port answers on 127.0.0.1, localhost, each own address, and other hosts, which it sees as they are', async () => {
  await using web = await run('web', [tcp(8080)]);
  await using _server = await serve(web.machine, 80, 'web');
  const { gateway } = web.endpoint;
  assert.equal(await ask(undefined, '127.0.0.1', 8080), `web sees ${gateway}`);
  assert.equal(await ask(undefined, '127.3.2.1', 8080), `web sees ${gateway}`);
  const [refused] = await once(connect({ host: '::1', port: 8080 }), 'error'); // so clients of localhost turn to 127.0.0.1
  assert.equal(refused.code, 'ECONNREFUSED');
  assert.equal(await text(connect({ host: 'localhost', port: 8080 })), `web sees ${gateway}`);
  assert.match(await ask(undefined, ownAddress, 8080), /^web sees/);
  assert.match(await ask(undefined, gateway, 8080), /^web sees/);
  assert.equal(await ask(undefined, web.endpoint.address, 80), `web sees ${gateway}`);
  assert.equal(await ask(otherHost, ownAddress, 8080), `web sees ${otherHostAddress}`);
  assert.equal(await ask(undefined, '127.0.0.1', 8081), 'ECONNREFUSED');
});

test('a port published on one address answers there only', async () => {
  await using web = await run('web', [tcp(8080, '127.0.0.1'), tcp(8081, ownAddress)]);
  await using _server = await serve(web.machine, 80, 'web');
  assert.match(await ask(undefined, '127.0.0.1', 8080), /^web sees/);
  assert.equal(await ask(undefined, ownAddress, 8080), 'ECONNREFUSED');
  assert.equal(await ask(otherHost, ownAddress, 8080), 'ECONNREFUSED');
  assert.match(await ask(otherHost, ownAddress, 8081), /^web sees/);
  assert.equal(await ask(undefined, '127.0.0.1', 8081), 'ECONNREFUSED');
});

test('another host reaches neither what is published on 127.0.0.1 nor a container by its address (CVE-2020-8558)', async () => {
  await using web = await run('web', [tcp(8080, '127.0.0.1'), tcp(8081)]);
  await using _server = await serve(web.machine, 80, 'web');
  inside(otherHost, 'ip', 'route', 'add', '172.16.0.0/12', 'via', ownAddress);
  assert.equal(await ask(otherHost, web.endpoint.address, 80, quick), 'nothing');
  inside(otherHost, 'sysctl', '-w', 'net.ipv4.conf.all.route_localnet=1');
  inside(otherHost, 'ip', 'addr', 'del', '127.0.0.1/8', 'dev', 'lo');
  inside(otherHost, 'ip', 'route', 'add', '127.0.0.0/8', 'via', ownAddress, 'src', otherHostAddress);
  for (const port of [8080, 8081]) assert.equal(await ask(otherHost, '127.0.0.1', port, quick), 'nothing');
});

test('a container cannot reach what listens on 127.0.0.1 of the host', async () => {
  await using _host = await serve(undefined, 7000, 'host');
  await using curious = await run('curious');
  const { machine, endpoint } = curious;
  assert.match(await ask(machine, endpoint.gateway, 7000), /^host sees/);
  inside(machine, 'sysctl', '-w', 'net.ipv4.conf.all.route_localnet=1');
  inside(machine, 'ip', 'addr', 'del', '127.0.0.1/8', 'dev', 'lo');
  inside(machine, 'ip', 'route', 'add', '127.0.0.0/8', 'via', endpoint.gateway, 'src', endpoint.address);
  assert.equal(await ask(machine, '127.0.0.1', 7000, quick), 'nothing');
});

test('a container reaches other hosts in the name of its host, with the MTU of the uplink', async () => {
  await using _server = await serve(otherHost, 9000, 'other');
  await using client = await run('client');
  const { machine } = client;
  assert.equal(await ask(machine, otherHostAddress, 9000), `other sees ${ownAddress}`);
  assert.match(inside(machine, 'ip', 'link', 'show', 'eth0'), /mtu 1400 /);
  assert.equal(networks.get('bridge').mtu, 1400);
});

for (const netfilter of ['0', '1'])
  test(`containers reach each other, and each other's and their own published ports (bridge-nf-call-iptables=${netfilter})`, {
    skip: !existsSync(bridgeNetfilter) && 'no br_netfilter here',
  }, async () => {
    writeFileSync(bridgeNetfilter, netfilter);
    await using web = await run('web', [tcp(8080)]);
    await using _server = await serve(web.machine, 80, 'web');
    await using other = await run('client');
    assert.equal(await ask(other.machine, web.endpoint.address, 80), `web sees ${other.endpoint.address}`);
    for (const { machine } of [other, web])
      for (const address of [ownAddress, web.endpoint.gateway])
        assert.equal(await ask(machine, address, 8080), `web sees ${web.endpoint.gateway}`);
  });

test('a UDP flow goes to who has the port now, though its client never stops sending', async () => {
  using flow = client(otherHost, 'udp', ownAddress, 5353, 200);
  /** A datagram may be lost while links change; what is sent again must not be. */
  const answer = async (): Promise<string> => {
    let said = 'nothing';
    for (let tries = 0; said === 'nothing' && tries < 10; tries++) said = await flow.ask();
    return said;
  };
  assert.equal(await answer(), 'ECONNREFUSED');
  for (const name of ['first', 'second']) {
    await using container = await run(name, [{ protocol: 'udp', containerPort: 53, hostPort: 5353 }]);
    using _server = serveUdp(container.machine, 53, name);
    assert.equal(await answer(), `${name} sees ${otherHostAddress}`);
  }
  assert.equal(await answer(), 'ECONNREFUSED');
});

describe('a container speaks in its own name only', () => {
  test('not from an address of another', async () => {
    await using web = await run('web');
    await using _server = await serve(web.machine, 80, 'web');
    await using victim = await run('victim');
    await using thief = await run('thief');
    const { machine, endpoint } = thief;
    assert.match(await ask(machine, web.endpoint.address, 80), /^web/);
    inside(machine, 'ip', 'addr', 'del', `${endpoint.address}/16`, 'dev', 'eth0');
    inside(machine, 'ip', 'addr', 'add', `${victim.endpoint.address}/16`, 'dev', 'eth0');
    assert.equal(await ask(machine, web.endpoint.address, 80, quick), 'nothing');
    assert.match(await ask(victim.machine, web.endpoint.address, 80), /^web/);
  });
  test('nor from another MAC', async () => {
    await using web = await run('web');
    await using _server = await serve(web.machine, 80, 'web');
    await using victim = await run('victim');
    await using thief = await run('thief');
    const { machine } = thief;
    assert.match(await ask(machine, web.endpoint.address, 80), /^web/);
    inside(machine, 'ip', 'link', 'set', 'eth0', 'address', victim.endpoint.mac);
    assert.equal(await ask(machine, web.endpoint.address, 80, quick), 'nothing');
    assert.match(await ask(victim.machine, web.endpoint.address, 80), /^web/);
  });
  test('nor IPv6', async () => {
    await using six = await run('six');
    const { machine } = six;
    assert.doesNotMatch(inside(machine, 'ip', 'addr', 'show', 'eth0'), /inet6/);
  });
});

test('loopbackOnly raises lo and nothing else', async () => {
  await using machine = await startMachine();
  await networks.loopbackOnly(machine.pid);
  await using _server = await serve(machine, 80, 'self');
  assert.equal(await ask(machine, '127.0.0.1', 80), 'self sees 127.0.0.1');
  assert.equal(await ask(machine, ownAddress, 80), 'ENETUNREACH');
});

test('connect refuses a process that is in the namespace of the host, and one that has ended', async () => {
  const endpoint = await networks.reserve({ owner: 'f'.repeat(64), ownerName: 'x', network: 'bridge', ports: [] });
  await assert.rejects(networks.connect(endpoint, process.pid), { kind: 'invalid', message: /namespace of the host/ });
  await assert.rejects(networks.connect(endpoint, 2 ** 22), { kind: 'not-found' });
  await networks.release(endpoint.owner);
  await assert.rejects(networks.connect(endpoint, process.pid), { kind: 'conflict' });
});
