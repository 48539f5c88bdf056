import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NetworkRecord } from '../network-store.ts';
import type { Endpoint } from '../networks.ts';
import { createContainerNames } from './container-names.ts';
import { type Question, recordType } from './dns-message.ts';

const network = (name: string, internal = false): NetworkRecord => ({
  id: `id-${name}`,
  name,
  driver: 'bridge',
  created: '',
  internal,
  attachable: false,
  labels: {},
  options: {},
});
const endpoint = (owner: string, networkName: string, address: string, more: Partial<Endpoint> = {}): Endpoint => ({
  owner,
  ownerName: owner,
  networkId: `id-${networkName}`,
  networkName,
  id: `${owner}-${networkName}`,
  link: 'eth0',
  address,
  prefixLength: 24,
  gateway: '',
  mac: '',
  ports: [],
  names: [owner],
  links: [],
  ...more,
});
const all = [
  endpoint('web', 'front', '10.1.0.2', { links: ['db:store'], address6: 'fd00::2' }),
  endpoint('web', 'rear', '10.2.0.2'),
  endpoint('db', 'rear', '10.2.0.3', { names: ['db', 'pool'] }),
  endpoint('db2', 'rear', '10.2.0.4', { names: ['db2', 'pool'] }),
  endpoint('old', 'bridge', '172.17.0.2'),
  endpoint('shut', 'inner', '10.3.0.2'),
];
const names = createContainerNames({
  networks: () => [network('bridge'), network('front'), network('rear'), network('inner', true)],
  endpoints: () => all,
  endpointsOf: (owner) => all.filter((one) => one.owner === owner),
});
const ask = (owner: string, name: string, type: number = recordType.a) => {
  const question: Question = { id: 1, name, type, class: 1, end: 0, recursionDesired: true, datagramLimit: 512 };
  return names.answer(owner, question)?.answers?.map(({ data }) => [...data].join('.'));
};

test('a name is answered in the networks of who asks, and in no other', () => {
  assert.deepEqual(ask('web', 'db'), ['10.2.0.3']);
  assert.deepEqual(ask('web', 'db.rear'), ['10.2.0.3']);
  assert.equal(ask('web', 'db.front'), undefined);
  assert.deepEqual(ask('db', 'web'), ['10.2.0.2'], 'by the address they share a network with');
  assert.equal(ask('shut', 'db'), undefined);
  assert.equal(ask('old', 'old'), undefined, 'the default bridge resolves no names');
  assert.equal(ask('web', 'nobody'), undefined);
});

test('several of one name are all answered; a name without an address of the family asked for has none', () => {
  assert.deepEqual(ask('web', 'pool')?.toSorted(), ['10.2.0.3', '10.2.0.4']);
  assert.deepEqual(ask('web', 'db', recordType.aaaa), []);
  assert.equal(ask('web', 'web', recordType.aaaa)?.length, 1);
});

test('reverse names lead back to containers of shared networks', () => {
  assert.match(
    Buffer.from(
      (ask('web', '3.0.2.10.in-addr.arpa', recordType.ptr) ?? [''])[0]?.split('.').map(Number) ?? [],
    ).toString(),
    /db.rear/,
  );
  assert.equal(ask('shut', '3.0.2.10.in-addr.arpa', recordType.ptr), undefined);
});

test('only a container with a network that is not internal may have others asked', () => {
  assert.equal(names.mayAskOthers('web'), true);
  assert.equal(names.mayAskOthers('shut'), false);
  assert.equal(names.mayAskOthers('gone'), false);
});
