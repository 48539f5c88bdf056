import './own-namespace.ts';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { kernel, linkNamed, openNetlink } from '#linux/index.ts';
import { createNetworks } from '#network/index.ts';
import { serveBy, startMachine } from './machine.ts';

const bridge = 'gtlarge0';
const usual = 65_536;
const large = 192 * 1024;
const sizeOf = (link: string): number | undefined => {
  using socket = openNetlink(kernel, 'route');
  return linkNamed(socket, link).gsoIpv4MaxSize;
};

for (const largeLoopbackPackets of [false, true])
  test(`what the host sends to a container crosses in large packets, whole; lo ${largeLoopbackPackets ? 'too' : 'is left alone'}`, async () => {
    const networks = createNetworks({ db: new DatabaseSync(':memory:') }, { bridge, largeLoopbackPackets });
    await networks.open(new Set());
    await using machine = await startMachine();
    const owner = 'a'.repeat(64);
    const ports = [{ protocol: 'tcp', containerPort: 80, hostPort: 8080 }] as const;
    const endpoint = await networks.reserve({ owner, ownerName: 'web', network: 'bridge', ports });
    await networks.connect(endpoint, machine.pid);
    await using _server = await serveBy(machine, 80, (client) => {
      const hash = createHash('sha256');
      client.on('data', (data) => hash.update(data));
      client.on('end', () => client.end(hash.digest('hex')));
    });

    assert.equal(sizeOf(bridge), large);
    assert.equal(sizeOf('lo'), largeLoopbackPackets ? large : usual);
    const bytes = randomBytes(32 << 20);
    const digest = createHash('sha256').update(bytes).digest('hex');
    for (const [address, port] of [
      ['127.0.0.1', 8080],
      [endpoint.gateway, 8080],
      [endpoint.address, 80],
    ] as const) {
      const client = connect({ host: address, port, allowHalfOpen: true });
      client.end(bytes);
      assert.equal(await text(client), digest, `${address}:${port}`);
    }
    await networks.release(owner);
    await networks[Symbol.asyncDispose]();
  });
