import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import {
  type Link,
  linkNamed,
  listAddresses,
  listLinks,
  listRoutes,
  MAIN_TABLE,
  type NetlinkSocket,
  type Route,
  rtnetlink,
} from '#linux/index.ts';
import { addressBytes, addressFromBytes, networkOf, type Range, type Subnet } from './subnets.ts';

/** The bridge as it is in the kernel. */
export interface BridgeLink {
  readonly index: number;
  readonly mtu: number;
}

/** The networks that this host reaches by other links than `bridge`, the default route aside. */
export function networksInUse(socket: NetlinkSocket, bridge: string): readonly Range[] {
  const own = listLinks(socket).find(({ name }) => name === bridge)?.index;
  const routes = listRoutes(socket)
    .filter(({ index, prefixLength }) => prefixLength > 0 && index !== own)
    .map(({ destination, prefixLength }) => ({ network: addressFromBytes(destination), prefixLength }));
  // A link that is down has no route yet.
  const addresses = listAddresses(socket)
    .filter(({ index }) => index !== own)
    .map(({ address, prefixLength }) => ({
      network: networkOf(addressFromBytes(address), prefixLength),
      prefixLength,
    }));
  return [...routes, ...addresses];
}

const ETHERNET_MTU = 1500;

/** The MTU of the link that the default route leaves by. */
function uplinkMtu(links: readonly Link[], routes: readonly Route[]): number {
  const [uplink] = routes
    .filter(({ table, prefixLength, index }) => table === MAIN_TABLE && prefixLength === 0 && index !== undefined)
    .sort((a, b) => a.priority - b.priority);
  return links.find(({ index }) => index === uplink?.index)?.mtu ?? ETHERNET_MTU;
}

/** @throws GantryError conflict where a link of that name does not carry our mark */
export function refuseForeignLink(links: readonly Link[], name: string, mark: string): void {
  const known = links.find((link) => link.name === name);
  if (known === undefined || known.alias === mark) return;
  const owner = known.alias?.startsWith('gantry:') ? 'another engine' : 'somebody else';
  throw new GantryError(
    'conflict',
    `the link ${name} exists and belongs to ${owner}; give this engine a bridge of its own with --bridge, or remove it with 'ip link del ${name}'`,
    { code: 'bridge-in-use' },
  );
}

/** Makes the bridge, or puts right what differs: up, the uplink's MTU, exactly one IPv4 address, a MAC that stays. */
export function ensureBridge(
  socket: NetlinkSocket,
  {
    name,
    mark,
    subnet,
    mac,
  }: { readonly name: string; readonly mark: string; readonly subnet: Subnet; readonly mac: string },
): BridgeLink {
  const links = listLinks(socket);
  refuseForeignLink(links, name, mark);
  const mtu = uplinkMtu(links, listRoutes(socket));
  const about = `making the bridge ${name}`;
  if (!links.some((link) => link.name === name)) socket.request([rtnetlink.createBridge({ name, mac, mtu })], about);
  // Before the first packet: the bridge itself speaks IPv4 only, and may route 127.0.0.0/8 (see the table's chain `loopback`).
  setSysctl(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, '1');
  setSysctl(`/proc/sys/net/ipv4/conf/${name}/route_localnet`, '1');
  const { index } = linkNamed(socket, name);
  const others = listAddresses(socket).filter(
    (known) =>
      known.index === index &&
      (addressFromBytes(known.address) !== subnet.gateway || known.prefixLength !== subnet.prefixLength),
  );
  socket.request(
    [
      ...others.map(rtnetlink.deleteAddress),
      rtnetlink.setLink(index, { alias: mark, mac, mtu, up: true }),
      rtnetlink.addAddress({ index, address: addressBytes(subnet.gateway), prefixLength: subnet.prefixLength }),
    ],
    about,
  );
  return { index, mtu };
}

/** The host routes between its links. Left on when we end, as Docker does: others may have come to need it. */
export function allowForwarding(): void {
  setSysctl('/proc/sys/net/ipv4/ip_forward', '1');
}

/** A kernel without IPv6 lacks its settings. */
function setSysctl(path: string, value: string): void {
  if (!existsSync(path) && path.includes('/ipv6/')) return;
  if (readFileSync(path, 'utf8').trim() !== value) writeFileSync(path, value);
}
