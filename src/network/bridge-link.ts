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
  rtnetlink,
  SyscallError,
} from '#linux/index.ts';
import { addressBytes, addressFromBytes } from './addresses.ts';
import { gatewayOf, type Range, rangeOf, type Subnet } from './subnets.ts';

/** A bridge as it is in the kernel. */
export interface BridgeLink {
  readonly index: number;
  readonly mtu: number;
}

/** The networks that this host reaches by other links than `ours`, the default routes and IPv6's link-local ones aside. */
export function networksInUse(socket: NetlinkSocket, ours: ReadonlySet<string>): readonly Range[] {
  const own = new Set(
    listLinks(socket)
      .filter(({ name }) => ours.has(name))
      .map(({ index }) => index),
  );
  const foreign = ({ index }: { readonly index: number | undefined }) => index === undefined || !own.has(index);
  const both = [4, 6] as const;
  const routes = both
    .flatMap((family) => listRoutes(socket, family))
    .filter((route) => route.prefixLength > 0 && foreign(route))
    .map(({ destination, prefixLength }) => rangeOf(addressFromBytes(destination), prefixLength));
  // A link that is down has no route yet.
  const addresses = both
    .flatMap((family) => listAddresses(socket, family))
    .filter(foreign)
    .map(({ address, prefixLength }) => rangeOf(addressFromBytes(address), prefixLength));
  return [...routes, ...addresses].filter((range) => !isLinkLocal(range));
}

/** fe80::/10 and ff00::/8, which every link has. */
const isLinkLocal = ({ family, network }: Range) =>
  family === 6 && (network >> 118n === 0xfe80n >> 6n || network >> 120n === 0xffn);

const ETHERNET_MTU = 1500;

/** The MTU of the link that the default route leaves by. */
export function uplinkMtu(socket: NetlinkSocket): number {
  const [uplink] = listRoutes(socket)
    .filter(({ table, prefixLength, index }) => table === MAIN_TABLE && prefixLength === 0 && index !== undefined)
    .sort((a, b) => a.priority - b.priority);
  return listLinks(socket).find(({ index }) => index === uplink?.index)?.mtu ?? ETHERNET_MTU;
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

/**
 * Bytes of one packet of many segments from the host to its containers: they cross conntrack, the firewall and the bridge as
 * one, so fewer of them cost less. Only this way: what a container sends may leave by hardware that cuts 64 KiB at most.
 */
export const TO_CONTAINERS = 192 * 1024;

/** Lets a link send such packets; a bridge takes it once it has a port, and one with a port that cannot stays as it is. */
export function carryLargePackets(socket: NetlinkSocket, index: number): void {
  try {
    socket.request([rtnetlink.setLink(index, { gsoIpv4MaxSize: TO_CONTAINERS })], 'allowing large packets');
  } catch (error) {
    if (!(error instanceof SyscallError && error.code === 'EINVAL')) throw error;
  }
}

export interface WantedBridge {
  readonly name: string;
  readonly mark: string;
  readonly mac: string;
  readonly mtu: number;
  readonly ipv4: Subnet | undefined;
  readonly ipv6: Subnet | undefined;
}

/** Makes the bridge, or puts right what differs: up, its MTU, exactly its addresses, a MAC that stays. */
export function ensureBridge(socket: NetlinkSocket, { name, mark, mac, mtu, ipv4, ipv6 }: WantedBridge): BridgeLink {
  const links = listLinks(socket);
  refuseForeignLink(links, name, mark);
  const about = `making the bridge ${name}`;
  // Its mark comes in the same system call: whoever is killed leaves no bridge that nobody knows.
  if (!links.some((link) => link.name === name))
    socket.request([rtnetlink.createBridge({ name, mac, mtu }), rtnetlink.setLink(name, { alias: mark })], about);
  // Before the first packet: the bridge believes no router (CVE-2020-13401), and may route 127.0.0.0/8 (see the table's
  // chain `loopback`).
  setSysctl(`/proc/sys/net/ipv6/conf/${name}/accept_ra`, '0');
  setSysctl(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, ipv6 === undefined ? '1' : '0');
  setSysctl(`/proc/sys/net/ipv4/conf/${name}/route_localnet`, '1');
  const { index } = linkNamed(socket, name);
  const wanted = [ipv4, ipv6]
    .filter((subnet) => subnet !== undefined)
    .map((subnet) => ({ index, address: addressBytes(gatewayOf(subnet)), prefixLength: subnet.prefixLength }));
  const others = [4 as const, 6 as const]
    .flatMap((family) => listAddresses(socket, family))
    .filter((known) => known.index === index && !isLinkLocal(rangeOf(addressFromBytes(known.address), 128)))
    .filter(
      ({ address, prefixLength }) =>
        !wanted.some((one) => one.prefixLength === prefixLength && one.address.equals(address)),
    );
  socket.request(
    [
      ...others.map(rtnetlink.deleteAddress),
      rtnetlink.setLink(index, { alias: mark, mac, mtu, up: true }),
      ...wanted.map(rtnetlink.addAddress),
    ],
    about,
  );
  return { index, mtu };
}

/** The host routes between its links. Left on when we end, as Docker does: others may have come to need it. */
export function allowForwarding({ ipv6 }: { readonly ipv6: boolean }): void {
  setSysctl('/proc/sys/net/ipv4/ip_forward', '1');
  if (ipv6) setSysctl('/proc/sys/net/ipv6/conf/all/forwarding', '1');
}

/** A kernel without IPv6 lacks its settings. */
function setSysctl(path: string, value: string): void {
  if (!existsSync(path) && path.includes('/ipv6/')) return;
  if (readFileSync(path, 'utf8').trim() !== value) writeFileSync(path, value);
}

/** A locally administered MAC that belongs to its address, so that no neighbour remembers a wrong one. */
export function macOf(address: Uint8Array): string {
  const last = Buffer.from(address.subarray(address.length - 4));
  return ['02', '42', ...[...last].map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}

export const bridgeMac = ({ ipv4, ipv6 }: Pick<WantedBridge, 'ipv4' | 'ipv6'>): string => {
  const subnet = ipv4 ?? ipv6;
  if (subnet === undefined) throw new GantryError('internal', 'a bridge without addresses');
  return macOf(addressBytes(gatewayOf(subnet)));
};
