import './own-namespace.ts';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { createNetworks, type Networks, type PortRequest } from '#network/index.ts';
import { ask, startMachine } from './machine.ts';

let networks: Networks;
before(async () => {
  networks = createNetworks({ db: new DatabaseSync(':memory:') }, { bridge: 'gtports0', bip: '172.30.7.1/29' });
  await networks.open(new Set());
});
after(() => networks[Symbol.asyncDispose]());

const reserve = (owner: string, ...ports: readonly PortRequest[]) =>
  networks.reserve({ owner: owner.padEnd(64, '0'), ownerName: owner, network: 'bridge', ports });
const release = (owner: string) => networks.release(owner.padEnd(64, '0'));
const port = (hostPort: number, hostAddress?: string, protocol: 'tcp' | 'udp' = 'tcp'): PortRequest => ({
  protocol,
  containerPort: 80,
  hostPort,
  ...(hostAddress === undefined ? {} : { hostAddress }),
});

test('a port that a container publishes is refused to another, who is told which; all of a request is undone', async () => {
  await reserve('web', port(8080), port(9090, '127.0.0.1'));
  const refused = (address: string, number: number) => ({
    kind: 'conflict',
    code: 'port-in-use',
    message: `Bind for ${address}:${number} failed: port is already allocated: container "web" (web000000000) publishes it`,
  });
  await assert.rejects(reserve('b', port(8080)), refused('0.0.0.0', 8080));
  await assert.rejects(reserve('b', port(8080, '127.0.0.1')), refused('127.0.0.1', 8080));
  await assert.rejects(reserve('b', port(7070), port(9090)), refused('0.0.0.0', 9090));
  const { ports } = await reserve('b', port(7070), port(8080, undefined, 'udp'), port(9090, '172.30.7.1'));
  assert.deepEqual(
    ports.map(({ hostAddress, hostPort }) => `${hostAddress}:${hostPort}`),
    ['0.0.0.0:7070', '0.0.0.0:8080', '172.30.7.1:9090'],
  );
  await release('web');
  await reserve('web', port(8080));
  await Promise.all(['web', 'b'].map(release));
});

test('a port that a program of the host listens on is refused, and the program is named', async () => {
  for (const address of ['0.0.0.0', '::']) {
    await using server = createServer().listen(8080, address);
    await once(server, 'listening');
    await assert.rejects(reserve('web', port(8080)), {
      code: 'port-in-use',
      message: new RegExp(
        `^Bind for 0.0.0.0:8080 failed: port is already allocated: process node \\(pid ${process.pid}\\)`,
      ),
    });
  }
  await reserve('web', port(8080));
  await release('web');
});

test('a published port is kept from programs of the host, and refuses clients until the container is connected', async () => {
  await reserve('web', port(8080));
  assert.equal(await ask(undefined, '127.0.0.1', 8080), 'ECONNREFUSED');
  for (const address of ['0.0.0.0', '127.0.0.1', '::']) {
    const [error] = await once(createServer().listen(8080, address), 'error');
    assert.equal((error as NodeJS.ErrnoException).code, 'EADDRINUSE');
  }
  await release('web');
  await using server = createServer().listen(8080);
  await once(server, 'listening');
});

test('an ephemeral port is chosen where none is asked for', async () => {
  const { ports } = await reserve('web', port(0), { protocol: 'udp', containerPort: 53, hostAddress: '127.0.0.1' });
  for (const { hostPort } of ports) assert.ok(hostPort >= 32768 && hostPort <= 60999, String(hostPort));
  await release('web');
});

test('what cannot be published is refused with its value', async () => {
  await assert.rejects(reserve('x', port(80, '[::1]')), { kind: 'unsupported', message: /IPv6 address ::1/ });
  await assert.rejects(reserve('x', port(80, '[::]')), { kind: 'invalid', message: /network bridge has no IPv6/ });
  await assert.rejects(reserve('x', port(80, 'localhost')), { kind: 'invalid', message: /"localhost"/ });
  await assert.rejects(reserve('x', port(80, '192.0.2.77')), { kind: 'invalid', message: /no address 192\.0\.2\.77/ });
  await assert.rejects(reserve('x', port(65536)), { kind: 'invalid', message: /65536/ });
  await assert.rejects(reserve('x', { ...port(80), containerPort: 0 }), {
    kind: 'invalid',
    message: /container port 0/,
  });
  await assert.rejects(reserve('x', port(80), port(80)), { code: 'port-in-use', message: /asks for it twice/ });
});

test('addresses are not used again at once, and run out with words', async () => {
  const addresses: string[] = [];
  for (let n = 0; n < 6; n++) {
    addresses.push((await reserve(`c${n}`)).address);
    await release(`c${n}`);
  }
  assert.equal(new Set(addresses).size, 5);
  assert.equal(addresses[5], addresses[0]);
  for (let n = 0; n < 5; n++) await reserve(`c${n}`);
  await assert.rejects(reserve('c5'), { kind: 'exhausted', code: 'no-address', message: /172\.30\.7\.0\/29/ });
  await release('c3');
  await reserve('c5');
  for (let n = 0; n < 6; n++) await release(`c${n}`);
});

test('200 ports are published and withdrawn as one transaction each', async () => {
  await using machine = await startMachine();
  const endpoint = await reserve('many', ...Array.from({ length: 200 }, (_, n) => port(20000 + n)));
  await networks.connect(endpoint, machine.pid);
  assert.equal(await ask(undefined, '127.0.0.1', 20199), 'ECONNREFUSED'); // by the container, where nothing listens
  await release('many');
  assert.equal(networks.endpointOf(endpoint.owner), undefined);
});

test('networks are found by name, id and prefix of an id; only the bridge gives addresses', async () => {
  assert.deepEqual(
    networks.list().map(({ name, driver }) => `${name} ${driver}`),
    ['bridge bridge', 'host host', 'none null'],
  );
  const { id, subnet, gateway, bridge } = networks.get('bridge');
  assert.match(id, /^[0-9a-f]{64}$/);
  assert.deepEqual([subnet, gateway, bridge], ['172.30.7.0/29', '172.30.7.1', 'gtports0']);
  assert.equal(networks.get(id.slice(0, 12)).name, 'bridge');
  assert.throws(() => networks.get('mine'), { kind: 'not-found', message: 'network mine not found' });
  await assert.rejects(networks.reserve({ owner: 'x', ownerName: 'x', network: 'none', ports: [] }), {
    kind: 'invalid',
    message: /"?none"? gives no addresses/,
  });
});
