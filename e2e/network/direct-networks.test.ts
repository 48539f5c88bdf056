import './own-namespace.ts';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { createNetworks, type Networks } from '#network/index.ts';
import { ask, inside, type Machine, serve, startMachine, startOtherHost } from './machine.ts';

// Networks on a link of the host's: their containers are neighbours of other hosts, and have no bridge of ours.
let networks: Networks;
let other: Machine;
before(async () => {
  other = await startOtherHost();
  inside(other, 'ip', 'addr', 'add', '10.44.0.1/24', 'dev', 'wire');
  networks = createNetworks(
    { db: new DatabaseSync(':memory:') },
    { bridge: 'gtdirect0', addressPools: ['base=10.55.0.0/16,size=28'] },
  );
  await networks.open(new Set());
});
after(async () => {
  await networks[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

test('containers of a macvlan network answer other hosts at addresses of their own, and each other', async () => {
  const addressing = [{ subnet: '10.44.0.0/24', gateway: '10.44.0.1', ipRange: '10.44.0.64/26' }];
  await networks.create({ name: 'lan', driver: 'macvlan', addressing, options: { parent: 'wire' } });
  await using one = await startMachine();
  await using two = await startMachine();
  const request = { network: 'lan', ports: [] };
  const first = await networks.reserve({ ...request, owner: 'one', ownerName: 'one' });
  const second = await networks.reserve({ ...request, owner: 'two', ownerName: 'two', mac: '02:00:00:00:00:99' });
  await networks.connect(first, one.pid);
  await networks.connect(second, two.pid);
  await using _server = await serve(one, 80, 'one');
  assert.equal(first.address, '10.44.0.64');
  assert.equal(await ask(other, first.address, 80), 'one sees 10.44.0.1');
  assert.equal(await ask(two, first.address, 80), `one sees ${second.address}`);
  assert.match(inside(two, 'ip', 'route'), /default via 10\.44\.0\.1/);
  assert.match(inside(two, 'ip', 'link', 'show', 'eth0'), /02:00:00:00:00:99/);
  await assert.rejects(networks.remove('lan'), { code: 'network-in-use', message: /name:"one".*name:"two"/ });
  await networks.disconnect('two', first.networkId, two.pid);
  assert.doesNotMatch(inside(two, 'ip', 'link'), /eth0/);
  await networks.release('one');
  await networks.remove('lan');
});

test('a driver or mode that cannot be is refused with what is wrong', async () => {
  const create = (driver: string, options: Record<string, string>) =>
    networks.create({ name: 'never', driver, options, addressing: [{ subnet: '10.45.0.0/24' }] });
  await assert.rejects(create('macvlan', {}), { kind: 'invalid', message: /parent=eth0/ });
  await assert.rejects(create('macvlan', { parent: 'gone0' }), { kind: 'invalid', message: /"gone0"/ });
  await assert.rejects(create('macvlan', { parent: 'wire', macvlan_mode: 'l2' }), { kind: 'invalid', message: /"l2"/ });
  const made = await create('ipvlan', { parent: 'wire' }).then(
    () => true,
    (error: unknown) => {
      assert.match(String(error), /this kernel makes no ipvlan link/);
      return false;
    },
  );
  if (made) await networks.remove('never');
  assert.doesNotMatch(execFileSync('busybox', ['ip', 'link'], { encoding: 'utf8' }), /gttry/);
});

test('networks without a subnet come from the address pools of the engine, until these are used up', async () => {
  for (let count = 0; count < 3; count++) await networks.create({ name: `pool${count}` });
  assert.deepEqual(
    networks
      .list()
      .filter(({ name }) => name.startsWith('pool'))
      .map(({ subnet }) => subnet),
    ['10.55.0.0/28', '10.55.0.16/28', '10.55.0.32/28'],
  );
  for (let count = 0; count < 3; count++) await networks.remove(`pool${count}`);
});
