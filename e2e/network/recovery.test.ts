import './own-namespace.ts';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { kernel, listLinks, openNetlink, rtnetlink } from '#linux/index.ts';
import { createNetworks, type NetworksOptions } from '#network/index.ts';
import { ask, inside, type Machine, otherHostAddress, serve, startMachine, startOtherHost } from './machine.ts';

const bridge = 'gtcrash0';
const directory = mkdtempSync(`${tmpdir()}/gantry-network-`);
after(() => rmSync(directory, { recursive: true }));

let count = 0;
const newDatabase = () => `${directory}/${++count}.db`;
const engine = (path: string, options: Partial<NetworksOptions> = {}) =>
  createNetworks({ db: new DatabaseSync(path) }, { bridge, ...options });

const links = (): readonly string[] => {
  using socket = openNetlink(kernel, 'route');
  return listLinks(socket).map(({ name }) => name);
};
const nft = (...args: readonly string[]) => execFileSync('nft', args, { encoding: 'utf8' });
const busyboxIp = (...args: readonly string[]) => execFileSync('busybox', ['ip', ...args], { encoding: 'utf8' });

/** An engine that is gone without a word, as after SIGKILL: its sockets are closed, nothing else is. */
async function crashedWith(path: string, owners: ReadonlyMap<string, Machine>) {
  const networks = engine(path);
  await networks.open(new Set());
  let hostPort = 8000;
  for (const [owner, { pid }] of owners)
    await networks.connect(
      await networks.reserve({
        owner,
        ownerName: owner,
        network: 'bridge',
        ports: [{ protocol: 'tcp', containerPort: 80, hostPort: ++hostPort }],
      }),
      pid,
    );
  await networks[Symbol.asyncDispose]();
}

test('the next engine keeps the live, drops the dead, and nothing is left when the last is released', async () => {
  const path = newDatabase();
  await using live = await startMachine();
  await using dead = await startMachine();
  await using _server = await serve(live, 80, 'live');
  const before = links();
  await crashedWith(
    path,
    new Map([
      ['live', live],
      ['dead', dead],
    ]),
  );
  assert.match(await ask(undefined, '127.0.0.1', 8001), /^live sees/, 'containers go on without an engine');

  const networks = engine(path);
  await networks.open(new Set(['live']));
  assert.match(await ask(undefined, '127.0.0.1', 8001), /^live sees/);
  assert.equal(networks.endpointOf('dead'), undefined);
  assert.doesNotMatch(nft('list', 'ruleset'), /8002/);
  const request = { owner: 'next', ownerName: 'next', network: 'bridge' };
  const tcp = { protocol: 'tcp', containerPort: 80 } as const;
  await assert.rejects(networks.reserve({ ...request, ports: [{ ...tcp, hostPort: 8001 }] }), { code: 'port-in-use' });
  await networks.reserve({ ...request, ports: [{ ...tcp, hostPort: 8002 }] });
  for (const owner of ['live', 'next', 'live', 'never']) await networks.release(owner);
  await networks[Symbol.asyncDispose]();
  assert.deepEqual(links(), before);
  assert.equal(nft('list', 'ruleset'), '');
});

test('containers that come and go at the same time have addresses of their own, and leave no link', async () => {
  const networks = engine(newDatabase());
  await networks.open(new Set());
  const owners = Array.from({ length: 8 }, (_, n) => `c${n}`);
  const addresses = await Promise.all(
    owners.map(async (owner) => {
      await using machine = await startMachine();
      const endpoint = await networks.reserve({ owner, ownerName: owner, network: 'bridge', ports: [] });
      await networks.connect(endpoint, machine.pid);
      await networks.release(owner);
      return endpoint.address;
    }),
  );
  assert.equal(new Set(addresses).size, owners.length);
  await networks[Symbol.asyncDispose]();
  assert.deepEqual(links(), ['lo']);
});

test('what was removed behind its back is put back: bridge, address, table, elements, ports of the bridge', async () => {
  const path = newDatabase();
  await using live = await startMachine();
  await using _server = await serve(live, 80, 'live');
  await crashedWith(path, new Map([['live', live]]));
  nft('flush', 'ruleset');
  busyboxIp('link', 'del', bridge);
  assert.equal(await ask(undefined, '127.0.0.1', 8001, 150), 'ECONNREFUSED');

  const networks = engine(path);
  await networks.open(new Set(['live']));
  assert.match(await ask(undefined, '127.0.0.1', 8001), /^live sees/);
  assert.match(inside(live, 'ping', '-c', '1', '-W', '1', networks.get('bridge').gateway ?? ''), / 0% packet loss/);

  // While an engine runs, the next container brings the whole ruleset back.
  nft('flush', 'ruleset');
  await using other = await startMachine();
  const endpoint = await networks.reserve({ owner: 'other', ownerName: 'other', network: 'bridge', ports: [] });
  await networks.connect(endpoint, other.pid);
  assert.match(await ask(undefined, '127.0.0.1', 8001), /^live sees/);
  nft('flush', 'ruleset');
  for (const owner of ['live', 'other']) await networks.release(owner);
  await networks[Symbol.asyncDispose]();
  assert.deepEqual(links(), ['lo']);
});

test('a bridge of that name which is not ours is refused and left as it is', async () => {
  {
    using socket = openNetlink(kernel, 'route');
    socket.request([rtnetlink.createBridge({ name: bridge })], 'making a foreign bridge');
  }
  await using foreign = engine(newDatabase());
  await assert.rejects(foreign.open(new Set()), {
    code: 'bridge-in-use',
    message: /gtcrash0 .*somebody else.*--bridge/,
  });
  assert.match(busyboxIp('link', 'show', bridge), /<BROADCAST,MULTICAST>/);
  busyboxIp('link', 'del', bridge);

  await using first = engine(newDatabase());
  await first.open(new Set());
  await using second = engine(newDatabase());
  await assert.rejects(second.open(new Set()), { code: 'bridge-in-use', message: /another engine/ });
});

test('the network overlaps nothing that the host reaches already, and stays', async () => {
  await using _otherHost = await startOtherHost();
  busyboxIp('route', 'add', '172.16.0.0/14', 'via', otherHostAddress);
  const path = newDatabase();
  const subnetOf = async (options: Partial<NetworksOptions> = {}) => {
    await using networks = engine(path, options);
    await networks.open(new Set());
    return networks.get('bridge').subnet;
  };
  assert.equal(await subnetOf(), '172.20.0.0/16');
  busyboxIp('route', 'del', '172.16.0.0/14');
  assert.equal(await subnetOf(), '172.20.0.0/16');
  busyboxIp('route', 'add', '172.20.5.0/24', 'via', otherHostAddress);
  assert.equal(await subnetOf(), '172.17.0.0/16');
  await assert.rejects(subnetOf({ bip: '172.20.5.1/24' }), { kind: 'conflict', message: /172\.20\.5\.0\/24/ });
  assert.equal(await subnetOf({ bip: '10.7.0.1/24' }), '10.7.0.0/24');
});

test('a new --bip is refused while containers use the old one', async () => {
  const path = newDatabase();
  await using live = await startMachine();
  await crashedWith(path, new Map([['live', live]]));
  {
    await using other = engine(path, { bip: '10.7.0.1/24' });
    await assert.rejects(other.open(new Set(['live'])), { kind: 'conflict', message: /1 running container/ });
  }
  await using networks = engine(path);
  await networks.open(new Set());
});

test('two engines with bridges of their own do not see each other', async () => {
  await using one = engine(newDatabase());
  await one.open(new Set());
  const second = engine(newDatabase(), { bridge: 'gtcrash1' });
  await second.open(new Set());
  assert.notEqual(one.get('bridge').subnet, second.get('bridge').subnet);
  await using a = await startMachine();
  await using b = await startMachine();
  await using _server = await serve(b, 80, 'b');
  const endpoints = [];
  for (const [networks, { pid }] of [
    [one, a],
    [second, b],
  ] as const) {
    const endpoint = await networks.reserve({ owner: 'x', ownerName: 'x', network: 'bridge', ports: [] });
    await networks.connect(endpoint, pid);
    endpoints.push(endpoint);
  }
  assert.equal(await ask(a, endpoints[1]?.address ?? '', 80, 150), 'nothing');
  await second.release('x');
  await second[Symbol.asyncDispose]();
  assert.deepEqual(nft('list', 'tables').trim().split('\n'), [
    'table inet gantry-gtcrash0',
    'table bridge gantry-gtcrash0',
  ]);
  assert.match(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8'), /1/);
  await one.release('x');
});
