import { match, type NetlinkMessage, type NftSet, nft, statement } from '#linux/index.ts';
import { addressBytes } from './addresses.ts';
import { createFirewallSets, type FirewalledNetwork, type FirewallNames, type FirewallSets } from './firewall-sets.ts';
import type { Endpoint } from './networks.ts';

/**
 * The rules of one engine: a table of family `inet` and one of family `bridge`, both named for its default bridge. Rules never
 * change while networks and containers come and go: these are elements of sets, so that a port costs the same however many
 * there are.
 *
 * Two chains of the `inet` table belong to the administrator; the engine makes them empty and never touches what is in them:
 *   host_published  new connections to published ports, before they are translated: address and port are those the client used
 *   host_forward    all that is forwarded to, from and between our bridges
 * A `drop` there is final. They come before every rule of ours that accepts.
 *
 * Other tables are asked as well: where one has a chain on `forward` whose policy is drop (an `iptables -P FORWARD DROP`, as
 * Docker sets it), an accept here does not overrule it, and the administrator must let the bridges through there.
 */
export interface FirewallRules extends Pick<FirewallSets, 'table' | 'ports'> {
  /** Our rules and elements as they must be, whatever of them was there before. */
  install(networks: readonly FirewalledNetwork[], endpoints: readonly Placement[]): readonly NetlinkMessage[];
  /** Takes everything away, or with `keepHostChains` all but the administrator's. */
  uninstall(keepHostChains: boolean): readonly NetlinkMessage[];
  addNetwork(network: FirewalledNetwork): readonly NetlinkMessage[];
  removeNetwork(network: FirewalledNetwork): readonly NetlinkMessage[];
  add(placement: Placement): readonly NetlinkMessage[];
  remove(placement: Placement): readonly NetlinkMessage[];
  /** The same as one change for each element, where some may be gone already. */
  removeOneByOne(placement: Placement): readonly NetlinkMessage[];
  removeNetworkOneByOne(network: FirewalledNetwork): readonly NetlinkMessage[];
}

/** An endpoint with its network. */
export interface Placement {
  readonly endpoint: Endpoint;
  readonly network: FirewalledNetwork;
}

export const hostChains = ['host_published', 'host_forward'] as const;

const raw = -300;
const mangle = -150;
const destinationNat = -100;
const sourceNat = 100;
const [icmp, icmpv6, routerAdvertisement, neighbourAdvertisement, redirect] = [1, 58, 134, 136, 137];
const solicitations = [135, 143]; // a neighbour's, and reports of groups: said before an address is known

const drop = () => statement.verdict('drop');
const accept = () => statement.verdict('accept');

/** The transactions as messages; nothing is sent. */
export function createFirewallRules(names: FirewallNames): FirewallRules {
  const { table, ports, sets, ofNetwork, ofEndpoint } = createFirewallSets(names);
  const [published, forwarded] = hostChains;
  const rule = (chain: string, ...expressions: readonly Buffer[]) => nft.addRule(table, chain, ...expressions);
  const portRule = (...expressions: readonly Buffer[]) => nft.addRule(ports, 'prerouting', ...expressions);

  const [loopback, loopbackMask] = [addressBytes('127.0.0.0'), addressBytes('255.0.0.0')];
  const toLoopback = (operator: 'eq' | 'neq') => match.ip('daddr', operator, loopback, loopbackMask);
  const fromLoopback = () => match.ip('saddr', 'eq', loopback, loopbackMask);
  const from = (set: NftSet) => match.inSet(['iifname'], set);
  const to = (set: NftSet) => match.inSet(['oifname'], set);

  const families = [
    { is: match.ipv4, source: 'ip saddr', masqueraded: sets.masqueraded, homes: sets.homes },
    { is: match.ipv6, source: 'ip6 saddr', masqueraded: sets.masqueraded6, homes: sets.homes6 },
  ] as const;

  /** What is published, as conditions, with the map that says where it leads. */
  const publications = (...conditions: readonly Buffer[]) =>
    [
      { when: [...match.ipv4(), ...match.localDestination(), ...conditions], key: ['ip daddr'], map: sets.onAddress },
      { when: [...match.ipv4(), ...match.localDestination(), ...conditions], key: [], map: sets.anywhere },
      { when: [...match.ipv6(), ...match.localDestination()], key: ['ip6 daddr'], map: sets.onAddress6 },
      { when: [...match.ipv6(), ...match.localDestination()], key: [], map: sets.anywhere6 },
    ] as const;
  const portKey = ['l4proto', 'th dport'] as const;

  const natRules = (): readonly NetlinkMessage[] => [
    // First what is quickly told: of a connection only the first packet is looked at.
    rule('published', ...match.established(), ...accept()),
    ...publications(...toLoopback('neq')).map(({ when, key, map }) =>
      rule(
        'published',
        ...when,
        ...match.fresh(),
        ...match.inSet([...key, ...portKey], map),
        ...statement.jump(published),
      ),
    ),
    // From another host 127.0.0.1 is nobody's, published or not (CVE-2020-8558).
    ...publications(...toLoopback('neq')).map(({ when, key, map }) =>
      rule('prerouting', ...when, ...statement.dnatByMap([...key, ...portKey], map)),
    ),
    ...publications().map(({ when, key, map }) =>
      rule('output', ...when, ...statement.dnatByMap([...key, ...portKey], map)),
    ),
    ...families.map(({ is, source, masqueraded }) =>
      rule(
        'postrouting',
        ...is(),
        ...match.inSet([source], masqueraded),
        ...match.notInSet(['oifname'], sets.bridges),
        ...statement.masquerade(),
      ),
    ),
    // A container cannot answer 127.0.0.1, and answers its own neighbour (or itself) past us.
    rule(
      'postrouting',
      ...match.ipv4(),
      ...fromLoopback(),
      ...to(sets.bridges),
      ...match.translated(),
      ...statement.masquerade(),
    ),
    ...families.map(({ is, source, homes }) =>
      rule(
        'postrouting',
        ...is(),
        ...match.inSet([source, 'oifname'], homes),
        ...match.translated(),
        ...statement.masquerade(),
      ),
    ),
  ];

  const filterRules = (): readonly NetlinkMessage[] => [
    // The bridges route 127.0.0.0/8 for our own packets; a container's must not reach the host's loopback by it.
    ...[toLoopback('eq'), fromLoopback()].map((loop) =>
      rule('loopback', ...from(sets.bridges), ...match.ipv4(), ...loop, ...drop()),
    ),
    // An internal network ends at its bridge: it may be asked from the host, and ask nobody but who is there.
    rule('input', ...match.notInSet(['iifname'], sets.internal), ...accept()),
    rule('input', ...match.established(), ...accept()),
    ...[icmp, icmpv6].map((protocol) => rule('input', ...match.protocol(protocol), ...accept())),
    rule('input', ...drop()),
    rule(
      'forward',
      ...match.notInSet(['iifname'], sets.bridges),
      ...match.notInSet(['oifname'], sets.bridges),
      ...accept(),
    ),
    rule('forward', ...statement.jump(forwarded)),
    rule('forward', ...match.established(), ...accept()),
    rule('forward', ...match.inSet(['iifname', 'oifname'], sets.together), ...accept()),
    rule('forward', ...from(sets.internal), ...drop()),
    rule('forward', ...match.translated(), ...accept()),
    rule('forward', ...from(sets.outward), ...match.notInSet(['oifname'], sets.bridges), ...accept()),
    rule('forward', ...drop()),
  ];

  /** A container speaks IP and ARP, in its own name. What it says in another's is not even learnt by the bridge. */
  const sourceRules = (): readonly NetlinkMessage[] => [
    portRule(...match.iifnamePrefix('neq', names.linkPrefix), ...accept()),
    portRule(
      ...match.etherType('ip'),
      ...match.inSet(['iifname', 'ether saddr', 'ip saddr'], sets.sources),
      ...accept(),
    ),
    portRule(
      ...match.etherType('arp'),
      ...match.inSet(['iifname', 'ether saddr', 'arp saddr ip'], sets.sources),
      ...match.inSet(['iifname', 'arp saddr ether', 'arp saddr ip'], sets.sources),
      ...accept(),
    ),
    // Nobody behind a port is a router (CVE-2020-13401).
    ...[routerAdvertisement, redirect].map((type) =>
      portRule(...match.etherType('ip6'), ...match.icmpv6(type), ...drop()),
    ),
    portRule(
      ...match.etherType('ip6'),
      ...match.icmpv6(neighbourAdvertisement),
      ...match.notInSet(['iifname', 'ether saddr', 'nd target'], sets.sources6),
      ...drop(),
    ),
    portRule(
      ...match.etherType('ip6'),
      ...match.inSet(['iifname', 'ether saddr', 'ip6 saddr'], sets.sources6),
      ...accept(),
    ),
    ...solicitations.map((type) =>
      portRule(...match.etherType('ip6'), ...match.unspecified6(), ...match.icmpv6(type), ...accept()),
    ),
    portRule(...drop()),
  ];

  const chains = [
    { table, name: 'published', type: 'filter', hook: 'prerouting', priority: mangle },
    { table, name: 'prerouting', type: 'nat', hook: 'prerouting', priority: destinationNat },
    { table, name: 'output', type: 'nat', hook: 'output', priority: destinationNat },
    { table, name: 'postrouting', type: 'nat', hook: 'postrouting', priority: sourceNat },
    { table, name: 'loopback', type: 'filter', hook: 'prerouting', priority: raw },
    { table, name: 'input', type: 'filter', hook: 'input', priority: 0 },
    { table, name: 'forward', type: 'filter', hook: 'forward', priority: 0 },
    { table: ports, name: 'prerouting', type: 'filter', hook: 'prerouting', priority: raw },
  ] as const;

  const elementsOf = ({ endpoint, network }: Placement) => ofEndpoint(endpoint, network);

  function each(of: ReturnType<typeof ofEndpoint>, change: typeof nft.addElements): readonly NetlinkMessage[] {
    return [...Map.groupBy(of, ({ set }) => set)].flatMap(([set, placed]) =>
      change(
        set,
        placed.map(({ element }) => element),
      ),
    );
  }
  const oneByOne = (of: ReturnType<typeof ofEndpoint>) =>
    of.flatMap(({ set, element }) => nft.deleteElements(set, [element]));

  return {
    table,
    ports,
    install: (networks, endpoints) => [
      ...[table, ports].map(nft.addTable),
      ...hostChains.map((name) => nft.addPlainChain(table, name)),
      ...chains.flatMap((chain) => [nft.addChain(chain.table, chain), nft.flushChain(chain.table, chain.name)]),
      ...Object.values(sets).flatMap((set, index) => [nft.addSet(set, index + 1), nft.flushSet(set)]),
      ...natRules(),
      ...filterRules(),
      ...sourceRules(),
      ...each([...networks.flatMap(ofNetwork), ...endpoints.flatMap(elementsOf)], nft.addElements),
    ],
    uninstall: (keepHostChains) => [
      nft.addTable(ports),
      nft.deleteTable(ports),
      nft.addTable(table),
      ...(keepHostChains
        ? [
            ...chains.filter((chain) => chain.table === table).map(({ name }) => nft.flushChain(table, name)),
            ...chains.filter((chain) => chain.table === table).map(({ name }) => nft.deleteChain(table, name)),
            ...Object.values(sets)
              .filter((set) => set.table === table)
              .map(nft.deleteSet),
          ]
        : [nft.deleteTable(table)]),
    ],
    addNetwork: (network) => each(ofNetwork(network), nft.addElements),
    removeNetwork: (network) => each(ofNetwork(network), nft.deleteElements),
    removeNetworkOneByOne: (network) => oneByOne(ofNetwork(network)),
    add: (placement) => each(elementsOf(placement), nft.addElements),
    remove: (placement) => each(elementsOf(placement), nft.deleteElements),
    removeOneByOne: (placement) => oneByOne(elementsOf(placement)),
  };
}
