import './own-namespace.ts';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { createNetworks } from '#network/index.ts';
import { startMachine } from './machine.ts';

// The rules as nft(8) reads them back: what our encoder meant, said by somebody else.
const rules = (link: string) => `table inet gantry-gtrules0 {
	map anywhere {
		type inet_proto . inet_service : ipv4_addr . inet_service
		elements = { tcp . 8080 : 10.7.0.2 . 80 }
	}

	map on_address {
		type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
		elements = { 127.0.0.1 . udp . 5353 : 10.7.0.2 . 53 }
	}

	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local ip daddr != 127.0.0.0/8 dnat ip to ip daddr . meta l4proto . th dport map @on_address
		fib daddr type local ip daddr != 127.0.0.0/8 dnat ip to meta l4proto . th dport map @anywhere
	}

	chain output {
		type nat hook output priority -100; policy accept;
		fib daddr type local dnat ip to ip daddr . meta l4proto . th dport map @on_address
		meta nfproto ipv4 fib daddr type local dnat ip to meta l4proto . th dport map @anywhere
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 10.7.0.0/24 oifname != "gtrules0" masquerade
		ip saddr 127.0.0.0/8 oifname "gtrules0" ct status dnat masquerade
		ip saddr 10.7.0.0/24 oifname "gtrules0" ct status dnat masquerade
	}

	chain loopback {
		type filter hook prerouting priority raw; policy accept;
		iifname "gtrules0" ip daddr 127.0.0.0/8 drop
		iifname "gtrules0" ip saddr 127.0.0.0/8 drop
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
		oifname != "gtrules0" accept
		iifname "gtrules0" accept
		ct state established,related accept
		ct status dnat accept
		drop
	}
}
table bridge gantry-gtrules0 {
	set sources {
		type ifname . ether_addr . ipv4_addr
		elements = { "${link}" . 02:42:0a:07:00:02 . 10.7.0.2 }
	}

	chain prerouting {
		type filter hook prerouting priority dstnat; policy accept;
		iifname != "${link.slice(0, 7)}*" accept
		iifname . ether saddr . ip saddr @sources accept
		iifname . ether saddr . arp saddr ip @sources iifname . arp saddr ether . arp saddr ip @sources accept
		drop
	}
}
`;

test('the ruleset of a container with two ports is the one that nft reads back', async () => {
  await using machine = await startMachine();
  await using networks = createNetworks(
    { db: new DatabaseSync(':memory:') },
    { bridge: 'gtrules0', bip: '10.7.0.1/24' },
  );
  await networks.open(new Set());
  const endpoint = await networks.reserve({
    owner: 'web',
    ownerName: 'web',
    network: 'bridge',
    ports: [
      { protocol: 'tcp', containerPort: 80, hostPort: 8080 },
      { protocol: 'udp', containerPort: 53, hostPort: 5353, hostAddress: '127.0.0.1' },
    ],
  });
  await networks.connect(endpoint, machine.pid);
  const link = `gt${endpoint.networkId.slice(0, 5)}${endpoint.id.slice(0, 8)}`;
  assert.equal(execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }), rules(link));
  await networks.release('web');
});
