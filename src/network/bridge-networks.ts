import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import { GantryError } from '#errors/index.ts';
import { kernel, type Link, listLinks, openNetlink, rtnetlink, SyscallError } from '#linux/index.ts';
import { allowForwarding, type BridgeLink, ensureBridge, networksInUse, refuseForeignLink } from './bridge-link.ts';
import { connectLink, raiseLoopback } from './container-link.ts';
import { createFirewall } from './firewall.ts';
import { bindPort, bindPorts, closePorts } from './host-ports.ts';
import { createLinkReaper, ifGone } from './link-reaper.ts';
import { createNetworkStore, type NetworkRecord, shown } from './network-store.ts';
import type { Endpoint, Networks } from './networks.ts';
import {
  chooseSubnet,
  formatAddress,
  formatRange,
  nextAddress,
  overlaps,
  parseAddress,
  parseSubnet,
  type Subnet,
} from './subnets.ts';

export interface NetworksOptions {
  /** The name of the default bridge's link, e.g. gantry0; up to 15 bytes. */
  readonly bridge: string;
  /** The bridge's address with its network's prefix length; without it a free network is found and kept. */
  readonly bip?: string;
}

/** The networks `bridge`, `host` and `none`, spoken to the kernel over netlink; nothing is done before `open`. */
export function createNetworks({ db }: { readonly db: DatabaseSync }, options: NetworksOptions): Networks {
  const { bridge } = options;
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$/.test(bridge))
    throw new GantryError('invalid', `"${bridge}" cannot name a bridge; use up to 15 letters, digits, '_', '.' or '-'`);
  const wanted = options.bip === undefined ? undefined : parseSubnet(options.bip);
  const store = createNetworkStore(db);
  const { id } = store.bridge();
  const mark = `gantry:${id}`;
  const linkPrefix = `gt${id.slice(0, 5)}`;
  const linkOf = (endpoint: Pick<Endpoint, 'id'>) => `${linkPrefix}${endpoint.id.slice(0, 8)}`;
  const aliasOf = (endpoint: Pick<Endpoint, 'owner'>) => `${mark}:${endpoint.owner}`;
  const firewall = createFirewall({ bridge, linkPrefix, linkOf });
  const reaper = createLinkReaper(0x10000000 | Number.parseInt(id.slice(0, 7), 16));
  /** The fds that keep the ports of an owner. */
  const held = new Map<string, readonly number[]>();
  let link: BridgeLink | undefined;

  function subnetFor(inUse: Parameters<typeof chooseSubnet>[0]): Subnet {
    const { subnet } = store.bridge();
    const used = store.endpoints().length;
    if (subnet !== undefined && used > 0) {
      if (wanted !== undefined && formatAddress(wanted.gateway) !== formatAddress(subnet.gateway))
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

  /** Links of ours without an endpoint go; those of live endpoints become ports of the bridge again. */
  function adoptLinks(links: readonly Link[], { index }: BridgeLink): void {
    using socket = openNetlink(kernel, 'route');
    const living = new Map(store.endpoints().map((endpoint) => [linkOf(endpoint), endpoint]));
    for (const { name, alias, master, up } of links) {
      if (!alias?.startsWith(`${mark}:`)) continue;
      const endpoint = living.get(name);
      if (endpoint === undefined) reaper.add(name);
      else if (master !== index || !up)
        socket.request(
          [
            rtnetlink.setLink(name, { master: index, up: true }),
            rtnetlink.setLink(name, { hairpin: true, alias: aliasOf(endpoint) }),
          ],
          `putting ${name} back on ${bridge}`,
        );
    }
  }

  /** A port that a program of the host took while no engine ran stays unkept: our rules come first in any case. */
  function holdAgain(endpoint: Endpoint): void {
    const fds = endpoint.ports.flatMap((port) => {
      try {
        return [bindPort(port)];
      } catch (error) {
        if (error instanceof SyscallError && (error.code === 'EADDRINUSE' || error.code === 'EADDRNOTAVAIL')) return [];
        throw error;
      }
    });
    held.set(endpoint.owner, fds);
  }

  function get(nameOrId: string): NetworkRecord {
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

  const show = (record: NetworkRecord) => shown(record, { bridge, ...(link === undefined ? {} : { mtu: link.mtu }) });

  function opened(): BridgeLink {
    if (link === undefined) throw new GantryError('internal', 'the networks are not open');
    return link;
  }

  return {
    async open(liveOwners) {
      using socket = openNetlink(kernel, 'route');
      refuseForeignLink(listLinks(socket), bridge, mark);
      for (const { owner } of store.endpoints()) if (!liveOwners.has(owner)) store.remove(owner);
      const subnet = subnetFor(networksInUse(socket, bridge));
      if (!isDeepStrictEqual(subnet, store.bridge().subnet)) store.setSubnet(subnet);
      allowForwarding();
      link = ensureBridge(socket, { name: bridge, mark, subnet, mac: macOf(subnet.gateway) });
      firewall.install(subnet, store.endpoints());
      adoptLinks(listLinks(socket), link);
      for (const endpoint of store.endpoints()) if (!held.has(endpoint.owner)) holdAgain(endpoint);
    },

    list: () => store.networks().map(show),
    get: (nameOrId) => show(get(nameOrId)),
    endpointOf: (owner) => store.endpointOf(owner),

    async reserve({ owner, ownerName, network: nameOrId, ports: requests }) {
      opened();
      const { name } = get(nameOrId);
      const { ports, fds } = await bindPorts(requests, store.endpoints());
      try {
        const network = get(name);
        const { subnet } = network;
        if (subnet === undefined)
          throw new GantryError('invalid', `the network ${name} gives no addresses; use "bridge"`);
        if (store.endpointOf(owner) !== undefined)
          throw new GantryError('conflict', `container ${ownerName} is connected to a network already`);
        const used = new Set(store.endpoints().map(({ address }) => parseAddress(address) ?? 0));
        const address = nextAddress(subnet, used, network.lastAddress);
        if (address === undefined)
          throw new GantryError('exhausted', `no address of ${formatRange(subnet)} is free; remove containers`, {
            code: 'no-address',
          });
        const endpoint: Endpoint = {
          owner,
          ownerName,
          networkId: network.id,
          networkName: network.name,
          id: randomBytes(32).toString('hex'),
          address: formatAddress(address),
          prefixLength: subnet.prefixLength,
          gateway: formatAddress(subnet.gateway),
          mac: macOf(address),
          ports,
        };
        store.add(endpoint);
        held.set(owner, fds);
        return endpoint;
      } catch (error) {
        closePorts(fds);
        throw error;
      }
    },

    async connect(endpoint, pid) {
      const { index, mtu } = opened();
      if (store.endpointOf(endpoint.owner)?.id !== endpoint.id)
        throw new GantryError('conflict', `container ${endpoint.ownerName} has lost its address; start it again`);
      await connectLink(endpoint, pid, { name: linkOf(endpoint), alias: aliasOf(endpoint), bridge: index, mtu });
      firewall.add(endpoint);
    },

    async loopbackOnly(pid) {
      raiseLoopback(pid);
    },

    async release(owner) {
      const endpoint = store.endpointOf(owner);
      if (endpoint === undefined) return;
      firewall.remove(endpoint);
      closePorts(held.get(owner) ?? []);
      held.delete(owner);
      store.remove(owner);
      reaper.add(linkOf(endpoint));
    },

    async [Symbol.asyncDispose]() {
      using _closed = firewall;
      for (const fds of held.values()) closePorts(fds);
      held.clear();
      const unused = link !== undefined && store.endpoints().length === 0; // else containers go on without us
      link = undefined;
      if (unused) firewall.uninstall();
      await reaper[Symbol.asyncDispose]();
      if (!unused) return;
      using socket = openNetlink(kernel, 'route');
      await socket.requestAsync([rtnetlink.deleteLink(bridge)], `removing ${bridge}`).catch(ifGone);
    },
  };
}

/** A locally administered MAC that belongs to its address, so that no neighbour remembers a wrong one. */
const macOf = (address: number): string =>
  [
    '02',
    '42',
    ...formatAddress(address)
      .split('.')
      .map((part) => Number(part).toString(16).padStart(2, '0')),
  ].join(':');
