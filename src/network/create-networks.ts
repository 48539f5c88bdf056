import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { GantryError } from '#errors/index.ts';
import { kernel, type Link, linkNamed, listLinks, openNetlink, rtnetlink, SyscallError } from '#linux/index.ts';
import { addressBytes, formatAddress, parseAddress } from './addresses.ts';
import {
  allowForwarding,
  type BridgeLink,
  bridgeMac,
  carryLargePackets,
  ensureBridge,
  macOf,
  networksInUse,
  refuseForeignLink,
  uplinkMtu,
} from './bridge-link.ts';
import { type BridgePort, connectLink, type DirectLink, moveDefaultRoute, removeDirectLink } from './container-link.ts';
import { raiseLoopback } from './container-namespace.ts';
import { createDirectParents } from './direct-parents.ts';
import { createNameService } from './dns/name-service.ts';
import { createFirewall } from './firewall.ts';
import type { FirewalledNetwork } from './firewall-sets.ts';
import { bindPort, bindPorts, closePorts, type HeldPort } from './host-ports.ts';
import { createLinkReaper, ifGone } from './link-reaper.ts';
import { recordFor, settingsOf } from './network-settings.ts';
import { createNetworkStore, isBuiltIn, type NetworkRecord, rangesOf, shown } from './network-store.ts';
import type { Endpoint, Networks, PortPattern, PortRequest, PublishedPort, ReserveEndpoint } from './networks.ts';
import {
  type AddressPool,
  chooseSubnet,
  contains,
  formatRange,
  gatewayOf,
  isHost,
  nextAddress,
  overlaps,
  parsePool,
  parseSubnet,
  type Range,
  type Subnet,
} from './subnets.ts';

const samePort = (a: PublishedPort, b: PublishedPort) =>
  a.protocol === b.protocol && a.hostAddress === b.hostAddress && a.hostPort === b.hostPort;

/** @throws GantryError not-found, naming what is not published */
function portsToRemove({ ports }: Endpoint, patterns: readonly PortPattern[]): readonly PublishedPort[] {
  return patterns.flatMap((pattern) => {
    const found = ports.filter((port) =>
      (['protocol', 'containerPort', 'hostAddress', 'hostPort'] as const).every(
        (key) => pattern[key] === undefined || pattern[key] === port[key],
      ),
    );
    if (found.length > 0) return found;
    const { hostAddress, hostPort, containerPort, protocol } = pattern;
    const host = [hostAddress, hostPort].filter((part) => part !== undefined).join(':');
    throw new GantryError(
      'not-found',
      `port ${host === '' ? '' : `${host}:`}${containerPort}/${protocol} is not published`,
    );
  });
}

export interface NetworksOptions {
  /** The name of the default bridge's link, e.g. gantry0; up to 15 bytes. */
  readonly bridge: string;
  /** The bridge's address with its network's prefix length; without it a free network is found and kept. */
  readonly bip?: string;
  /** `base=10.10.0.0/16,size=24`: where networks that people make come from. */
  readonly addressPools?: readonly string[];
  /** The host's `lo` may send packets as large as our links do: what goes to a published port by an address of the host. */
  readonly largeLoopbackPackets?: boolean;
  /** Where a failure that no caller waits for is told. */
  readonly onError?: (error: unknown, about: string) => void;
}

/** The networks of an engine, spoken to the kernel over netlink; nothing is done before `open`. */
export function createNetworks({ db }: { readonly db: DatabaseSync }, options: NetworksOptions): Networks {
  const { bridge: defaultBridge, onError = () => undefined } = options;
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$/.test(defaultBridge))
    throw new GantryError(
      'invalid',
      `"${defaultBridge}" cannot name a bridge; use up to 15 letters, digits, '_', '.' or '-'`,
    );
  const wanted = options.bip === undefined ? undefined : parseSubnet(options.bip);
  const pools: readonly AddressPool[] | undefined = options.addressPools?.map(parsePool);
  const store = createNetworkStore(db);
  const { id: engineId } = store.bridge();
  const mark = `gantry:${engineId}`;
  const linkPrefix = `gt${engineId.slice(0, 5)}`;
  const linkOf = (endpoint: Pick<Endpoint, 'id'>) => `${linkPrefix}${endpoint.id.slice(0, 8)}`;
  const aliasOf = (endpoint: Pick<Endpoint, 'owner'>) => `${mark}:${endpoint.owner}`;
  const firewall = createFirewall({ bridge: defaultBridge, linkPrefix, linkOf }, onError);
  const reaper = createLinkReaper(0x10000000 | Number.parseInt(engineId.slice(0, 7), 16));
  const parents = createDirectParents({ mark });
  const nameService = createNameService({ store, onError });
  /** The fds that keep the ports of an owner. */
  const held = new Map<string, readonly HeldPort[]>();
  /** The bridges as they are in the kernel, by network id. */
  const bridges = new Map<string, BridgeLink>();
  let opened = false;

  const bridgeName = (record: NetworkRecord) => record.bridge ?? defaultBridge;
  const markOf = (record: NetworkRecord) => (record.id === engineId ? mark : `${mark}/${record.id}`);
  const bridged = () => store.networks().filter(({ driver }) => driver === 'bridge');
  const show = (record: NetworkRecord) => {
    const mtu = bridges.get(record.id)?.mtu;
    if (record.driver !== 'bridge') return shown(record, undefined);
    return shown(record, { bridge: bridgeName(record), ...(mtu === undefined ? {} : { mtu }) });
  };
  const firewalled = (record: NetworkRecord): FirewalledNetwork => {
    const { icc, masquerade } = settingsOf(record.options);
    return { id: record.id, bridge: bridgeName(record), internal: record.internal, icc, masquerade };
  };
  const hasWayOut = (endpoint: Endpoint) => endpoint.gateway !== '' || endpoint.gateway6 !== undefined;
  const defaultOf = (owner: string) => store.endpointsOf(owner).find(hasWayOut);

  function defaultSubnet(inUse: readonly Range[]): Subnet {
    const { ipv4: subnet, id } = store.bridge();
    const used = store.endpoints().filter(({ networkId }) => networkId === id).length;
    if (subnet !== undefined && used > 0) {
      if (wanted !== undefined && wanted.gateway !== subnet.gateway)
        throw new GantryError(
          'conflict',
          `--bip ${options.bip}: ${used} running containers use ${formatRange(subnet)}; stop them first`,
        );
      return subnet;
    }
    const clash = wanted && inUse.find((range) => overlaps(range, wanted));
    if (clash !== undefined)
      throw new GantryError('conflict', `--bip ${options.bip} overlaps ${formatRange(clash)}, a network of this host`);
    if (wanted !== undefined) return wanted;
    return subnet !== undefined && !inUse.some((range) => overlaps(range, subnet)) ? subnet : chooseSubnet(inUse);
  }

  function makeBridge(record: NetworkRecord): void {
    using socket = openNetlink(kernel, 'route');
    const { ipv4, ipv6 } = record;
    const mtu = settingsOf(record.options).mtu ?? uplinkMtu(socket);
    const name = bridgeName(record);
    bridges.set(
      record.id,
      ensureBridge(socket, { name, mark: markOf(record), mac: bridgeMac({ ipv4, ipv6 }), mtu, ipv4, ipv6 }),
    );
    allowForwarding({ ipv6: ipv6 !== undefined });
  }

  /** Links of ours without an endpoint or network go; those of live endpoints become ports of their bridges again. */
  function adoptLinks(links: readonly Link[]): void {
    using socket = openNetlink(kernel, 'route');
    const living = new Map(store.endpoints().map((endpoint) => [linkOf(endpoint), endpoint]));
    const known = new Set(store.networks().map(markOf));
    for (const { name, alias, master, up } of links) {
      if (alias?.startsWith(`${mark}/`) && !known.has(alias)) reaper.add(name);
      if (!alias?.startsWith(`${mark}:`)) continue;
      const endpoint = living.get(name);
      const bridge = endpoint && bridges.get(endpoint.networkId);
      if (endpoint === undefined || bridge === undefined) reaper.add(name);
      else if (master !== bridge.index || !up) {
        const { icc } = settingsOf(find(endpoint.networkId).options);
        socket.request(
          [
            rtnetlink.setLink(name, { master: bridge.index, up: true }),
            rtnetlink.setLink(name, { hairpin: true, isolated: !icc, alias: aliasOf(endpoint) }),
          ],
          `putting ${name} back on ${endpoint.networkName}`,
        );
      }
    }
  }

  /** A port that a program of the host took while no engine ran stays unkept: our rules come first in any case. */
  function holdAgain({ owner, ports }: Pick<Endpoint, 'owner' | 'ports'>): void {
    const kept = ports.flatMap((port) => {
      try {
        return bindPort(port);
      } catch (error) {
        if (error instanceof SyscallError && (error.code === 'EADDRINUSE' || error.code === 'EADDRNOTAVAIL')) return [];
        throw error;
      }
    });
    held.set(owner, [...(held.get(owner) ?? []), ...kept]);
  }

  /** What an owner publishes is at one of its endpoints. */
  const publisherOf = (owner: string) =>
    store.endpointsOf(owner).find(({ ports }) => ports.length > 0) ??
    store.endpointsOf(owner).find((endpoint) => onBridge(endpoint) && hasWayOut(endpoint));

  /** With the address of the network where none is asked for. */
  const withHostAddress = (ports: readonly PortRequest[], { options: networkOptions }: NetworkRecord) => {
    const { hostAddress } = settingsOf(networkOptions);
    return ports.map((port) => (hostAddress !== undefined && !port.hostAddress ? { ...port, hostAddress } : port));
  };

  function find(nameOrId: string): NetworkRecord {
    const all = store.networks();
    const exact = all.find(({ name }) => name === nameOrId) ?? all.find((network) => network.id === nameOrId);
    if (exact !== undefined) return exact;
    const [found, ...more] = nameOrId === '' ? [] : all.filter((network) => network.id.startsWith(nameOrId));
    if (more.length > 0)
      throw new GantryError(
        'invalid',
        `network ${nameOrId} is ambiguous (${more.length + 1} matches found based on ID prefix)`,
      );
    if (found === undefined) throw new GantryError('not-found', `network ${nameOrId} not found`);
    return found;
  }

  function mustBeOpen(): void {
    if (!opened) throw new GantryError('internal', 'the networks are not open');
  }

  /** The address asked for, or the next free one. @throws GantryError invalid | conflict | exhausted */
  function addressFor(network: NetworkRecord, subnet: Subnet, asked: string | undefined): string {
    const { family } = subnet;
    const text = (value: bigint) => formatAddress({ family, value });
    const inNetwork = store.endpoints().filter(({ networkId }) => networkId === network.id);
    const addressOf = (endpoint: Endpoint) => (family === 6 ? endpoint.address6 : endpoint.address);
    if (asked !== undefined && asked !== '') {
      const address = parseAddress(asked);
      if (address === undefined || !contains(subnet, address) || !isHost(subnet, address.value))
        throw new GantryError(
          'invalid',
          `invalid endpoint settings: no configured subnet contains IP address ${asked}: ${network.name} is ${formatRange(subnet)}`,
        );
      const holder = inNetwork.find((endpoint) => addressOf(endpoint) === text(address.value));
      if (holder !== undefined || address.value === subnet.gateway)
        throw new GantryError(
          'conflict',
          `Address already in use: ${asked} belongs to ${holder === undefined ? 'the gateway' : `container "${holder.ownerName}"`}`,
          { code: 'address-in-use' },
        );
      return text(address.value);
    }
    const used = new Set(inNetwork.flatMap((endpoint) => parseAddress(addressOf(endpoint) ?? '')?.value ?? []));
    const value = nextAddress(subnet, used, store.lastAddress(network.id, family));
    if (value === undefined)
      throw new GantryError(
        'exhausted',
        `no address of ${formatRange(subnet.chosenFrom ?? subnet)} is free; remove containers`,
        { code: 'no-address' },
      );
    return text(value);
  }

  function endpointFor(request: ReserveEndpoint, network: NetworkRecord, ports: Endpoint['ports']): Endpoint {
    const { owner, ownerName, aliases = [], links = [] } = request;
    const { ipv4, ipv6, internal } = network;
    if (ipv4 === undefined && ipv6 === undefined)
      throw new GantryError('invalid', `the network ${network.name} gives no addresses; use "bridge"`);
    const others = store.endpointsOf(owner);
    if (others.some(({ networkId }) => networkId === network.id))
      throw new GantryError('forbidden', `endpoint with name ${ownerName} already exists in network ${network.name}`, {
        code: 'already-connected',
      });
    if (
      request.mac !== undefined &&
      request.mac !== '' &&
      !/^[0-9a-f][02468ace](?::[0-9a-f]{2}){5}$/i.test(request.mac)
    )
      throw new GantryError('invalid', `invalid MAC address "${request.mac}"; expected e.g. 02:42:ac:11:00:02`);
    for (const [asked, subnet, what] of [
      [request.address, ipv4, 'IPv4'],
      [request.address6, ipv6, 'IPv6'],
    ] as const)
      if (asked && subnet === undefined)
        throw new GantryError('invalid', `the address ${asked} is ${what}, which the network ${network.name} has not`);
    const address = ipv4 === undefined ? '' : addressFor(network, ipv4, request.address);
    const address6 = ipv6 === undefined ? undefined : addressFor(network, ipv6, request.address6);
    const gatewayText = (subnet: Subnet | undefined) =>
      subnet === undefined || internal ? '' : formatAddress(gatewayOf(subnet));
    const taken = new Set(others.map(({ link }) => link));
    let number = 0;
    while (taken.has(`eth${number}`)) number++;
    return {
      owner,
      ownerName,
      networkId: network.id,
      networkName: network.name,
      id: randomBytes(32).toString('hex'),
      link: `eth${number}`,
      address,
      prefixLength: ipv4?.prefixLength ?? 0,
      gateway: gatewayText(ipv4),
      ...(ipv6 === undefined || address6 === undefined ? {} : { address6, prefixLength6: ipv6.prefixLength }),
      ...(gatewayText(ipv6) === '' ? {} : { gateway6: gatewayText(ipv6) }),
      mac: request.mac?.toLowerCase() || macOf(addressBytes(address === '' ? (address6 ?? '') : address)),
      ports,
      names: [...new Set([ownerName, owner.slice(0, 12), ...aliases])],
      links,
    };
  }

  /** Where an endpoint's link comes from. */
  function sideOf(endpoint: Endpoint): BridgePort | DirectLink {
    const network = find(endpoint.networkId);
    const { icc, parent, mode, mtu } = settingsOf(network.options);
    if (network.driver === 'macvlan' || network.driver === 'ipvlan')
      return { kind: network.driver, parent: parent ?? '', mode, mtu };
    const link = bridges.get(network.id);
    if (link === undefined) throw new GantryError('internal', `the network ${network.name} has no bridge`);
    const { index: bridge } = link;
    return {
      kind: 'bridge',
      name: linkOf(endpoint),
      alias: aliasOf(endpoint),
      bridge,
      mtu: link.mtu,
      isolated: !icc,
    };
  }

  /** The ports of an endpoint that goes, at the owner's next one that has a way out. */
  function heirOf(endpoint: Endpoint): Endpoint | undefined {
    if (endpoint.ports.length === 0) return undefined;
    const heir = store.endpointsOf(endpoint.owner).find((other) => other.id !== endpoint.id && hasWayOut(other));
    return heir && { ...heir, ports: endpoint.ports };
  }

  return {
    async open(liveOwners) {
      using socket = openNetlink(kernel, 'route');
      const links = listLinks(socket);
      refuseForeignLink(links, defaultBridge, mark);
      if (options.largeLoopbackPackets === true) carryLargePackets(socket, linkNamed(socket, 'lo').index);
      for (const record of bridged()) refuseForeignLink(links, bridgeName(record), markOf(record));
      for (const endpoint of store.endpoints()) if (!liveOwners.has(endpoint.owner)) store.remove(endpoint);
      const ours = new Set(bridged().map(bridgeName));
      const made = bridged()
        .filter(({ id }) => id !== engineId)
        .flatMap(rangesOf);
      const subnet = defaultSubnet([...networksInUse(socket, ours), ...made]);
      const known = store.bridge();
      if (
        known.ipv4 === undefined ||
        formatRange(known.ipv4) !== formatRange(subnet) ||
        known.ipv4.gateway !== subnet.gateway
      )
        store.putNetwork({ ...known, ipv4: subnet });
      for (const record of bridged()) makeBridge(record);
      firewall.install(bridged().map(firewalled), store.endpoints().filter(onBridge));
      adoptLinks(listLinks(socket));
      parents.open(store.networks());
      for (const endpoint of store.endpoints()) if (!held.has(endpoint.owner)) holdAgain(endpoint);
      opened = true;
    },

    list: () => store.networks().map(show),
    get: (nameOrId) => show(find(nameOrId)),
    endpointsOf: (owner) => store.endpointsOf(owner),
    endpointOf: (owner) => defaultOf(owner) ?? store.endpointsOf(owner)[0],
    endpointsIn: (networkId) => store.endpoints().filter((endpoint) => endpoint.networkId === networkId),

    async create(request) {
      mustBeOpen();
      using socket = openNetlink(kernel, 'route');
      const inUse = networksInUse(socket, new Set(bridged().map(bridgeName)));
      const record = recordFor(request, { others: store.networks(), inUse, pools, engineId });
      if (record.driver === 'bridge') refuseForeignLink(listLinks(socket), bridgeName(record), markOf(record));
      else parents.check(record, settingsOf(record.options));
      store.putNetwork(record);
      try {
        if (record.driver === 'bridge') {
          makeBridge(record);
          firewall.addNetwork(firewalled(record));
        } else parents.open([record]);
      } catch (error) {
        store.dropNetwork(record.id);
        throw error;
      }
      return show(record);
    },

    async remove(nameOrId) {
      mustBeOpen();
      const record = find(nameOrId);
      if (isBuiltIn(record))
        throw new GantryError('forbidden', `${record.name} is a pre-defined network and cannot be removed`);
      const users = store.endpoints().filter(({ networkId }) => networkId === record.id);
      if (users.length > 0)
        throw new GantryError(
          'conflict',
          `error while removing network: network ${record.name} has active endpoints (${users
            .map(({ ownerName, owner }) => `name:"${ownerName}" id:"${owner.slice(0, 12)}"`)
            .join(', ')})`,
          { code: 'network-in-use' },
        );
      const gone = show(record);
      store.dropNetwork(record.id);
      if (record.driver === 'bridge') {
        firewall.removeNetwork(record.id);
        bridges.delete(record.id);
        reaper.add(bridgeName(record));
      } else parents.remove(record);
      return gone;
    },

    async reserve(request) {
      mustBeOpen();
      const network = find(request.network);
      const bound = await bindPorts(withHostAddress(request.ports, network), store.endpoints());
      try {
        const endpoint = endpointFor(request, find(network.name), bound.ports);
        checkPublishable(endpoint);
        store.add(endpoint);
        held.set(request.owner, [...(held.get(request.owner) ?? []), ...bound.held]);
        return endpoint;
      } catch (error) {
        closePorts(bound.held);
        throw error;
      }
    },

    async changePorts(owner, { add, remove }) {
      mustBeOpen();
      const endpoint = publisherOf(owner);
      if (endpoint === undefined)
        throw new GantryError(
          'invalid',
          'it is in no network that ports can be published from (a bridge with a way out)',
        );
      const gone = portsToRemove(endpoint, remove);
      const kept = endpoint.ports.filter((port) => !gone.includes(port));
      const before = held.get(owner) ?? [];
      // A port that is taken away may be asked for again.
      closePorts(before.filter(({ port }) => gone.some((one) => samePort(one, port))));
      held.set(
        owner,
        before.filter(({ port }) => !gone.some((one) => samePort(one, port))),
      );
      const others = store.endpoints().map((one) => (one.id === endpoint.id ? { ...one, ports: kept } : one));
      let taken: readonly HeldPort[] = [];
      try {
        const bound = await bindPorts(withHostAddress(add, find(endpoint.networkId)), others);
        taken = bound.held;
        const changed = { ...endpoint, ports: [...kept, ...bound.ports] };
        checkPublishable(changed);
        store.change(changed);
        firewall.remove(endpoint);
        firewall.add(changed);
        held.set(owner, [...(held.get(owner) ?? []), ...taken]);
      } catch (error) {
        closePorts(taken);
        store.change(endpoint);
        holdAgain({ owner, ports: gone });
        throw error;
      }
    },

    async connect(endpoint, pid) {
      mustBeOpen();
      if (!store.endpointsOf(endpoint.owner).some(({ id }) => id === endpoint.id))
        throw new GantryError('conflict', `container ${endpoint.ownerName} has lost its address; start it again`);
      const asDefault = defaultOf(endpoint.owner)?.id === endpoint.id;
      const side = sideOf(endpoint);
      await connectLink(endpoint, pid, side, { asDefault });
      if (side.kind === 'bridge') firewall.add(endpoint);
    },

    async disconnect(owner, networkId, pid) {
      const endpoint = store.endpointsOf(owner).find((one) => one.networkId === networkId);
      if (endpoint === undefined) return;
      const wasDefault = defaultOf(owner)?.id === endpoint.id;
      const heir = heirOf(endpoint);
      firewall.remove(endpoint);
      store.remove(endpoint, heir === undefined ? [] : [heir]);
      if (heir !== undefined) {
        firewall.remove(heir);
        firewall.add(heir);
      } else if (endpoint.ports.length > 0) {
        closePorts(held.get(owner) ?? []);
        held.delete(owner);
      }
      if (onBridge(endpoint)) await reaper.remove(linkOf(endpoint));
      else if (pid !== undefined) removeDirectLink(pid, endpoint.link);
      if (pid !== undefined && wasDefault) moveDefaultRoute(pid, defaultOf(owner));
    },

    rename(owner, name) {
      for (const endpoint of store.endpointsOf(owner)) {
        const others = endpoint.names.filter((known) => known !== endpoint.ownerName);
        store.change({ ...endpoint, ownerName: name, names: [...new Set([name, ...others])] });
      }
    },

    async loopbackOnly(pid) {
      raiseLoopback(pid);
    },

    serveNames: (owner, pid, { servers }) => nameService.serve(owner, pid, servers),

    async release(owner) {
      nameService.stop(owner);
      for (const endpoint of store.endpointsOf(owner)) {
        firewall.remove(endpoint);
        store.remove(endpoint);
        if (onBridge(endpoint)) reaper.add(linkOf(endpoint));
      }
      closePorts(held.get(owner) ?? []);
      held.delete(owner);
    },

    async [Symbol.asyncDispose]() {
      using _closed = firewall;
      nameService[Symbol.dispose]();
      for (const fds of held.values()) closePorts(fds);
      held.clear();
      const unused = opened && store.endpoints().length === 0; // else containers go on without us
      opened = false;
      if (unused) firewall.uninstall();
      await reaper[Symbol.asyncDispose]();
      if (!unused) return;
      using socket = openNetlink(kernel, 'route');
      for (const record of bridged().filter(({ id }) => bridges.has(id)))
        await socket
          .requestAsync([rtnetlink.deleteLink(bridgeName(record))], `removing ${bridgeName(record)}`)
          .catch(ifGone);
      parents.close(store.networks());
      bridges.clear();
    },
  };

  /** @throws GantryError invalid for IPv6 where the endpoint has none */
  function checkPublishable({ address6, ports, networkName }: Endpoint): void {
    if (address6 === undefined && ports.some((port) => port.hostAddress.includes(':')))
      throw new GantryError(
        'invalid',
        `publishing on an IPv6 address: the network ${networkName} has no IPv6; make one with network create --ipv6`,
      );
  }

  function onBridge(endpoint: Endpoint): boolean {
    return store.networks().some(({ id, driver }) => id === endpoint.networkId && driver === 'bridge');
  }
}
