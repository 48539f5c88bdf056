import './own-namespace.ts';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { createNetworks } from '#network/index.ts';
import { until } from '../harness/program.ts';
import { ask, client, otherHostAddress, ownAddress, serve, startMachine, startOtherHost } from './machine.ts';

const directory = mkdtempSync(`${tmpdir()}/gantry-firewall-`);
after(() => rmSync(directory, { recursive: true }));
const nft = (...args: readonly string[]) => execFileSync('nft', args, { encoding: 'utf8' });
const table = ['inet', 'gantry-gtfire0'];
const engine = async (live: readonly string[] = []) => {
  const networks = createNetworks({ db: new DatabaseSync(`${directory}/networks.db`) }, { bridge: 'gtfire0' });
  await networks.open(new Set(live));
  return networks;
};
const quick = 150;

test("the administrator's rules come before ours, name ports as clients do, and outlive containers and the engine", async () => {
  await using other = await startOtherHost();
  await using machine = await startMachine();
  await using _server = await serve(machine, 80, 'web');
  let networks = await engine();
  const ports = [
    { protocol: 'tcp', containerPort: 80, hostPort: 8080 },
    { protocol: 'tcp', containerPort: 80, hostPort: 8081 },
  ] as const;
  const publish = async () => {
    const endpoint = await networks.reserve({ owner: 'web', ownerName: 'web', network: 'bridge', ports });
    await networks.connect(endpoint, machine.pid);
    return endpoint;
  };
  await publish();
  assert.match(await ask(other, ownAddress, 8080), /^web sees/);
  nft('add', 'rule', ...table, 'host_published', 'ip', 'saddr', otherHostAddress, 'tcp', 'dport', '8080', 'drop');
  assert.equal(await ask(other, ownAddress, 8080, quick), 'nothing');
  assert.match(await ask(other, ownAddress, 8081), /^web sees/);
  assert.match(await ask(undefined, '127.0.0.1', 8080), /^web sees/);

  // The engine ends and comes back, without containers and with them; the link of the container goes with its release.
  await networks.release('web');
  await networks[Symbol.asyncDispose]();
  assert.match(nft('list', 'ruleset'), /dport 8080 drop/, 'the rule stays where nothing else of ours does');
  networks = await engine();
  await publish();
  assert.equal(await ask(other, ownAddress, 8080, quick), 'nothing');
  assert.match(await ask(other, ownAddress, 8081), /^web sees/);

  nft('add', 'rule', ...table, 'host_forward', 'iifname', 'wire', 'drop');
  assert.equal(await ask(other, ownAddress, 8081, quick), 'nothing');
  nft('flush', 'chain', ...table, 'host_forward');
  nft('flush', 'chain', ...table, 'host_published');
  await networks.release('web');
  await networks[Symbol.asyncDispose]();
  assert.equal(nft('list', 'ruleset'), '');
});

test('after a flush of the whole ruleset, as a firewall does when it is loaded again, ours is put back by itself', async () => {
  await using machine = await startMachine();
  await using _server = await serve(machine, 80, 'web');
  const networks = await engine();
  const ports = [{ protocol: 'tcp', containerPort: 80, hostPort: 8080 }] as const;
  await networks.connect(
    await networks.reserve({ owner: 'web', ownerName: 'web', network: 'bridge', ports }),
    machine.pid,
  );
  /** Tables and elements come in no order. */
  const ruleset = () => nft('list', 'ruleset').split('\n').toSorted().join('\n');
  const before = ruleset();
  for (const change of [
    ['flush', 'ruleset'],
    ['delete', 'table', ...table],
    ['flush', 'chain', ...table, 'prerouting'],
    ['delete', 'element', ...table, 'anywhere', '{ tcp . 8080 }'],
  ]) {
    nft(...change);
    await until(() => (ruleset() === before ? true : undefined), 5000);
    assert.match(await ask(undefined, '127.0.0.1', 8080), /^web sees/, change.join(' '));
  }
  // What others do in tables of their own is nothing to us.
  nft('add', 'table', 'inet', 'gantry-somebody');
  nft('delete', 'table', 'inet', 'gantry-somebody');
  await networks.release('web');
  await networks[Symbol.asyncDispose]();
});

test('ports on IPv6 addresses and of sctp lead to containers of an IPv6 network, which see who asks', async () => {
  await using machine = await startMachine();
  await using networks = await engine();
  await networks.create({ name: 'six', ipv6: true, addressing: [{ subnet: 'fd77:1::/64' }] });
  execFileSync('busybox', ['ip', '-6', 'addr', 'add', 'fd99::1/64', 'dev', 'lo']);
  const endpoint = await networks.reserve({
    owner: 'six',
    ownerName: 'six',
    network: 'six',
    ports: [
      { protocol: 'tcp', containerPort: 80, hostAddress: '::', hostPort: 8080 },
      { protocol: 'tcp', containerPort: 80, hostAddress: '[fd99::1]', hostPort: 9000, lastHostPort: 9002 },
      { protocol: 'sctp', containerPort: 9, hostPort: 9009 },
    ],
  });
  await networks.connect(endpoint, machine.pid);
  assert.deepEqual(
    endpoint.ports.map(({ hostAddress, hostPort }) => `${hostAddress} ${hostPort}`),
    [':: 8080', 'fd99::1 9000', '0.0.0.0 9009'],
  );
  const server = execFileSync(
    'nsenter',
    ['-t', String(machine.pid), '-n', 'sh', '-c', 'busybox nc -ll -p 80 -e echo six >/dev/null 2>&1 & echo $!'],
    { encoding: 'utf8' },
  ).trim();
  try {
    const asked = (address: string, port: number) =>
      execFileSync('busybox', ['nc', '-w', '2', address, String(port)], {
        input: '',
        encoding: 'utf8',
        stdio: ['pipe', 'pipe', 'ignore'],
      });
    const answer = async (address: string, port: number) =>
      await until(() => {
        try {
          return asked(address, port) || undefined;
        } catch {
          return undefined; // nc does not listen yet
        }
      }, 5000);
    assert.equal(await answer('fd99::1', 8080), 'six\n');
    assert.equal(await answer('fd99::1', 9000), 'six\n');
  } finally {
    process.kill(Number(server));
  }
  assert.match(nft('list', 'map', ...table, 'anywhere'), /sctp \. 9009/);
  await networks.release('six');
  await networks.remove('six');
});

test('a container of one network reaches a port that one of another publishes, and not the container itself', async () => {
  await using one = await startMachine();
  await using two = await startMachine();
  await using networks = await engine();
  await networks.create({ name: 'left' });
  await networks.create({ name: 'right' });
  await networks.create({ name: 'inner', internal: true });
  const ports = [{ protocol: 'tcp', containerPort: 80, hostPort: 8080 }] as const;
  const left = await networks.reserve({ owner: 'one', ownerName: 'one', network: 'left', ports });
  await networks.connect(left, one.pid);
  const right = await networks.reserve({ owner: 'two', ownerName: 'two', network: 'right', ports: [] });
  await networks.connect(right, two.pid);
  await using _server = await serve(one, 80, 'one');
  assert.equal(await ask(two, left.address, 80, quick), 'nothing');
  assert.match(await ask(two, right.gateway, 8080), /^one sees/);
  await networks.release('two');

  // From an internal network there is no way to either, and none to the host's own ports.
  await using shut = await startMachine();
  await using _host = await serve(undefined, 7000, 'host');
  const inner = await networks.reserve({ owner: 'shut', ownerName: 'shut', network: 'inner', ports: [] });
  await networks.connect(inner, shut.pid);
  const gateway = networks.get('inner').gateway ?? '';
  execFileSync('nsenter', ['-t', String(shut.pid), '-n', 'busybox', 'ip', 'route', 'add', 'default', 'via', gateway]);
  for (const [address, port] of [
    [left.address, 80],
    [gateway, 8080],
    [gateway, 7000],
    [left.gateway, 8080],
  ] as const)
    assert.equal(await ask(shut, address, port, quick), 'nothing', `${address}:${port}`);
  await using _inside = await serve(shut, 80, 'shut');
  assert.match(await ask(undefined, inner.address, 80), /^shut sees/, 'the host may ask it');
  using never = client(shut, 'udp', left.gateway, 5353, quick);
  assert.equal(await never.ask(), 'nothing');
  for (const owner of ['one', 'shut']) await networks.release(owner);
  for (const name of ['left', 'right', 'inner']) await networks.remove(name);
});
