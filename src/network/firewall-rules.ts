import {
  type Element,
  fieldBytes,
  keyBytes,
  match,
  type NetlinkMessage,
  type NftSet,
  nft,
  statement,
  type Table,
} from '#linux/index.ts';
import type { Endpoint } from './networks.ts';
import { addressBytes, netmask, type Subnet } from './subnets.ts';

/**
 * The rules of one bridge: a table of family `inet` and one of family `bridge`, both named for it. Rules never change while
 * containers come and go: an endpoint is elements of sets, so that a port costs the same however many there are.
 *
 * Other tables are asked as well: where one has a chain on `forward` whose policy is drop (an `iptables -P FORWARD DROP`, as
 * Docker sets it), an accept here does not overrule it, and the administrator must let the bridge through there.
 */
export interface FirewallRules {
  /** Replaces what is in the kernel, if anything, by the rules and the elements of `endpoints`. */
  install(subnet: Subnet, endpoints: readonly Endpoint[]): readonly NetlinkMessage[];
  uninstall(): readonly NetlinkMessage[];
  add(endpoint: Endpoint): readonly NetlinkMessage[];
  remove(endpoint: Endpoint): readonly NetlinkMessage[];
  /** The same as one change for each element, where some may be gone already. */
  removeOneByOne(endpoint: Endpoint): readonly NetlinkMessage[];
}

const raw = -300;
const destinationNat = -100;
const sourceNat = 100;

export interface FirewallNames {
  /** The bridge's link. */
  readonly bridge: string;
  /** What the names of its containers' links on the host begin with, and of no others. */
  readonly linkPrefix: string;
  linkOf(endpoint: Pick<Endpoint, 'id'>): string;
}

/** The transactions as messages; nothing is sent. */
export function createFirewallRules({ bridge, linkPrefix, linkOf }: FirewallNames): FirewallRules {
  const table: Table = { family: 'inet', name: `gantry-${bridge}` };
  const ports: Table = { family: 'bridge', name: `gantry-${bridge}` };
  /** Ports published on every address, and those on one. */
  const anywhere: NftSet = { table, name: 'anywhere', key: ['protocol', 'port'], data: ['address', 'port'] };
  const onAddress: NftSet = {
    table,
    name: 'on_address',
    key: ['address', 'protocol', 'port'],
    data: ['address', 'port'],
  };
  /** Who may say what behind which link. */
  const sources: NftSet = { table: ports, name: 'sources', key: ['link', 'mac', 'address'] };

  const translate = (chain: 'prerouting' | 'output', ...conditions: readonly Buffer[]) => [
    nft.addRule(
      table,
      chain,
      ...match.ipv4(),
      ...match.localDestination(),
      ...conditions,
      ...statement.dnatByMap(['ip daddr', 'l4proto', 'th dport'], onAddress),
    ),
    nft.addRule(
      table,
      chain,
      ...match.ipv4(),
      ...match.localDestination(),
      ...conditions,
      ...statement.dnatByMap(['l4proto', 'th dport'], anywhere),
    ),
  ];

  const [loopback, loopbackMask] = [addressBytes(0x7f000000), addressBytes(netmask(8))];
  const toLoopback = (operator: 'eq' | 'neq') => match.ip('daddr', operator, loopback, loopbackMask);
  const fromLoopback = () => match.ip('saddr', 'eq', loopback, loopbackMask);

  function natRules({ network, prefixLength }: Subnet): readonly NetlinkMessage[] {
    const [subnet, mask] = [addressBytes(network), addressBytes(netmask(prefixLength))];
    const fromSubnet = () => match.ip('saddr', 'eq', subnet, mask);
    return [
      nft.addChain(table, { name: 'prerouting', type: 'nat', hook: 'prerouting', priority: destinationNat }),
      // From another host 127.0.0.1 is nobody's, published or not (CVE-2020-8558).
      ...translate('prerouting', ...toLoopback('neq')),
      nft.addChain(table, { name: 'output', type: 'nat', hook: 'output', priority: destinationNat }),
      ...translate('output'),
      nft.addChain(table, { name: 'postrouting', type: 'nat', hook: 'postrouting', priority: sourceNat }),
      nft.addRule(
        table,
        'postrouting',
        ...match.ipv4(),
        ...fromSubnet(),
        ...match.oifname('neq', bridge),
        ...statement.masquerade(),
      ),
      // A container cannot answer 127.0.0.1, and answers its own neighbour (or itself) past us.
      ...[fromLoopback(), fromSubnet()].map((from) =>
        nft.addRule(
          table,
          'postrouting',
          ...match.ipv4(),
          ...from,
          ...match.oifname('eq', bridge),
          ...match.translated(),
          ...statement.masquerade(),
        ),
      ),
    ];
  }

  const filterRules = (): readonly NetlinkMessage[] => [
    // The bridge routes 127.0.0.0/8 for our own packets; a container's must not reach the host's loopback by it.
    nft.addChain(table, { name: 'loopback', type: 'filter', hook: 'prerouting', priority: raw }),
    ...[toLoopback('eq'), fromLoopback()].map((loop) =>
      nft.addRule(
        table,
        'loopback',
        ...match.iifname('eq', bridge),
        ...match.ipv4(),
        ...loop,
        ...statement.verdict('drop'),
      ),
    ),
    nft.addChain(table, { name: 'forward', type: 'filter', hook: 'forward', priority: 0 }),
    ...[match.oifname('neq', bridge), match.iifname('eq', bridge), match.established(), match.translated()].map(
      (allowed) => nft.addRule(table, 'forward', ...allowed, ...statement.verdict('accept')),
    ),
    nft.addRule(table, 'forward', ...statement.verdict('drop')),
  ];

  /** A container speaks IPv4 and ARP, in its own name. What it says in another's is not even learnt by the bridge. */
  const sourceRules = (): readonly NetlinkMessage[] => [
    nft.addChain(ports, { name: 'prerouting', type: 'filter', hook: 'prerouting', priority: raw }),
    nft.addRule(ports, 'prerouting', ...match.iifnamePrefix('neq', linkPrefix), ...statement.verdict('accept')),
    nft.addRule(
      ports,
      'prerouting',
      ...match.etherType('ip'),
      ...match.inSet(['iifname', 'ether saddr', 'ip saddr'], sources),
      ...statement.verdict('accept'),
    ),
    nft.addRule(
      ports,
      'prerouting',
      ...match.etherType('arp'),
      ...match.inSet(['iifname', 'ether saddr', 'arp saddr ip'], sources),
      ...match.inSet(['iifname', 'arp saddr ether', 'arp saddr ip'], sources),
      ...statement.verdict('accept'),
    ),
    nft.addRule(ports, 'prerouting', ...statement.verdict('drop')),
  ];

  function elementsOf(endpoint: Endpoint): readonly { readonly set: NftSet; readonly element: Element }[] {
    const address = addressBytes(endpoint.address);
    const source = [fieldBytes.link(linkOf(endpoint)), fieldBytes.mac(endpoint.mac), address];
    return [
      { set: sources, element: { key: keyBytes(sources.key, source) } },
      ...endpoint.ports.map(({ protocol, hostAddress, hostPort, containerPort }) => {
        const set = hostAddress === '0.0.0.0' ? anywhere : onAddress;
        const what = [fieldBytes.protocol(protocol), fieldBytes.port(hostPort)];
        const key = keyBytes(set.key, set === anywhere ? what : [addressBytes(hostAddress), ...what]);
        return {
          set,
          element: { key, data: keyBytes(['address', 'port'], [address, fieldBytes.port(containerPort)]) },
        };
      }),
    ];
  }

  function each(endpoints: readonly Endpoint[], change: typeof nft.addElements): readonly NetlinkMessage[] {
    const all = Map.groupBy(endpoints.flatMap(elementsOf), ({ set }) => set);
    return [...all].flatMap(([set, of]) =>
      change(
        set,
        of.map(({ element }) => element),
      ),
    );
  }

  const uninstall = () => [table, ports].flatMap((one) => [nft.addTable(one), nft.deleteTable(one)]);

  return {
    install: (subnet, endpoints) => [
      ...uninstall(),
      nft.addTable(table),
      nft.addTable(ports),
      ...[anywhere, onAddress, sources].map((set, index) => nft.addSet(set, index + 1)),
      ...natRules(subnet),
      ...filterRules(),
      ...sourceRules(),
      ...each(endpoints, nft.addElements),
    ],
    uninstall,
    add: (endpoint) => each([endpoint], nft.addElements),
    remove: (endpoint) => each([endpoint], nft.deleteElements),
    removeOneByOne: (endpoint) =>
      elementsOf(endpoint).flatMap(({ set, element }) => nft.deleteElements(set, [element])),
  };
}
