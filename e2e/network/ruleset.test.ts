import './own-namespace.ts';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { createNetworks, type PortRequest } from '#network/index.ts';
import { startMachine } from './machine.ts';

// The rules as nft(8) reads them back: what our encoder meant, said by somebody else.
const golden = new URL('./ruleset.nft', import.meta.url);

test('the ruleset of an internal, a closed and a usual network, with published ports, is the one that nft reads back', async () => {
  await using machine = await startMachine();
  await using networks = createNetworks(
    { db: new DatabaseSync(':memory:') },
    { bridge: 'gtrules0', bip: '10.7.0.1/24' },
  );
  await networks.open(new Set());
  const name = (bridge: string) => ({ 'com.docker.network.bridge.name': bridge });
  await networks.create({
    name: 'closed',
    options: { ...name('gtrules1'), 'com.docker.network.bridge.enable_icc': 'false' },
    ipv6: true,
    addressing: [{ subnet: '10.8.0.0/24' }, { subnet: 'fd00:8::/64' }],
  });
  await networks.create({
    name: 'inner',
    internal: true,
    options: name('gtrules2'),
    addressing: [{ subnet: '10.9.0.0/24' }],
  });
  const requests: readonly [network: string, ports: readonly PortRequest[]][] = [
    [
      'bridge',
      [
        { protocol: 'tcp', containerPort: 80, hostPort: 8080 },
        { protocol: 'udp', containerPort: 53, hostPort: 5353, hostAddress: '127.0.0.1' },
      ],
    ],
    [
      'closed',
      [
        { protocol: 'tcp', containerPort: 443, hostPort: 8443, hostAddress: '::' },
        { protocol: 'sctp', containerPort: 9, hostPort: 9009 },
      ],
    ],
    ['inner', []],
  ];
  let expected = readFileSync(golden, 'utf8');
  for (const [network, ports] of requests) {
    const endpoint = await networks.reserve({ owner: 'web', ownerName: 'web', network, ports });
    await networks.connect(endpoint, machine.pid);
    const prefix = `gt${networks.get('bridge').id.slice(0, 5)}`;
    expected = expected
      .replaceAll(`LINK-${network}`, `${prefix}${endpoint.id.slice(0, 8)}`)
      .replaceAll('PREFIX', prefix);
  }
  // Elements of a set come in no order.
  const sorted = (text: string) =>
    text
      .replaceAll(
        /elements = \{ ([^}]*) \}/g,
        (_, of: string) => `elements = { ${of.split(/,\s+/).toSorted().join(', ')} }`,
      )
      .trim();
  assert.equal(sorted(execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' })), sorted(expected));
  await networks.release('web');
});
