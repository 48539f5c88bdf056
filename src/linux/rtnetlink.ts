import { GantryError } from '#errors/index.ts';
import {
  attribute,
  type NetlinkMessage,
  type NetlinkSocket,
  nested,
  netlinkFlags as nlm,
  readAttributes,
  textAttribute,
  u8Attribute,
  u32Attribute,
} from './netlink.ts';

/** rtnetlink(7) messages for what networks need. Addresses are 4 or 16 bytes in network order. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  readonly mac: string;
  /** `bridge`, `veth`, …; a hardware link has none. */
  readonly kind: string | undefined;
  readonly master: number | undefined;
  readonly alias: string | undefined;
  /** See {@link LinkSettings}; of a kernel that knows it. */
  readonly gsoIpv4MaxSize: number | undefined;
}

export interface LinkAddress {
  readonly index: number;
  readonly address: Uint8Array;
  readonly prefixLength: number;
}

export interface Route {
  readonly destination: Uint8Array;
  readonly prefixLength: number;
  /** The link it leaves by; of several next hops the first one's. */
  readonly index: number | undefined;
  readonly gateway: Uint8Array | undefined;
  readonly priority: number;
  readonly table: number;
}

export interface LinkSettings {
  readonly name?: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly master?: number;
  readonly group?: number;
  readonly up?: boolean;
  /**
   * Bytes that one IPv4 packet of many segments may hold on its way out of the link ("BIG TCP" above 64 KiB). Kernels before
   * 6.3 leave it alone; EINVAL where the link, or a port of the bridge, cannot.
   */
  readonly gsoIpv4MaxSize?: number;
}

/** What only a link that exists can be given; hairpin needs a bridge as its master. */
export interface LinkChanges extends LinkSettings {
  /** A text for people and for us, up to 255 bytes (IFLA_IFALIAS). */
  readonly alias?: string;
  /** The bridge may send a frame back out of the port it came from. */
  readonly hairpin?: boolean;
  /** The bridge passes nothing between two ports that are isolated. */
  readonly isolated?: boolean;
}

/** A link on top of another, which may be born inside another network namespace. */
export interface StackedLink extends LinkSettings {
  readonly kind: 'macvlan' | 'ipvlan' | 'vlan';
  /** `bridge`, `private`, `vepa`, `passthru` of macvlan; `l2`, `l3`, `l3s` of ipvlan; a vlan's tag. */
  readonly mode: keyof typeof macvlanModes | keyof typeof ipvlanModes | number;
  /** Index of the link below. */
  readonly parent: number;
  readonly nsFd?: number;
}

const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;
const ipvlanModes = { l2: 0, l3: 1, l3s: 2 } as const;
const IFLA_LINK = 5;

const rtm = {
  newLink: 16,
  delLink: 17,
  getLink: 18,
  newAddress: 20,
  delAddress: 21,
  getAddress: 22,
  newRoute: 24,
  delRoute: 25,
  getRoute: 26,
} as const;
const ifla = {
  address: 1,
  name: 3,
  mtu: 4,
  master: 10,
  linkInfo: 18,
  alias: 20,
  group: 27,
  netNsFd: 28,
  gsoIpv4MaxSize: 63,
} as const;
const info = { kind: 1, data: 2, portKind: 4, portData: 5 } as const;
const VETH_INFO_PEER = 1;
const brPort = { hairpin: 4, isolated: 33 } as const;
const AF_INET = 2;
const AF_INET6 = 10;
const IFA_FLAGS = 8;
const IFA_F_NODAD = 2;
const familyOf = (address: Uint8Array) => (address.length === 16 ? AF_INET6 : AF_INET);
const IFF_UP = 1;
export const MAIN_TABLE = 254;

function interfaceInfo(index: number, up: boolean | undefined): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(up === true ? IFF_UP : 0, 8);
  header.writeUInt32LE(up === undefined ? 0 : IFF_UP, 12);
  return header;
}

const macBytes = (mac: string) => Buffer.from(mac.replaceAll(':', ''), 'hex');

const settingAttributes = (settings: LinkSettings): readonly Buffer[] => [
  ...(settings.name === undefined ? [] : [textAttribute(ifla.name, settings.name)]),
  ...(settings.mac === undefined ? [] : [attribute(ifla.address, macBytes(settings.mac))]),
  ...(settings.mtu === undefined ? [] : [u32Attribute(ifla.mtu, settings.mtu)]),
  ...(settings.master === undefined ? [] : [u32Attribute(ifla.master, settings.master)]),
  ...(settings.group === undefined ? [] : [u32Attribute(ifla.group, settings.group)]),
  ...(settings.gsoIpv4MaxSize === undefined ? [] : [u32Attribute(ifla.gsoIpv4MaxSize, settings.gsoIpv4MaxSize)]),
];

const message = (type: number, flags: number, ...parts: readonly Uint8Array[]): NetlinkMessage => ({
  type,
  flags: nlm.request | nlm.ack | flags,
  body: Buffer.concat(parts),
});

function addressMessage(type: number, flags: number, { index, address, prefixLength }: LinkAddress): NetlinkMessage {
  const header = Buffer.alloc(8);
  header[0] = familyOf(address);
  header[1] = prefixLength;
  header.writeUInt32LE(index, 4);
  if (address.length === 16)
    // Addresses are given out by us: nobody need be asked whether they are free.
    return message(
      type,
      flags,
      header,
      attribute(2, address),
      attribute(1, address),
      u32Attribute(IFA_FLAGS, IFA_F_NODAD),
    );
  const broadcast = Buffer.alloc(4);
  const hostBits = 2 ** (32 - prefixLength) - 1;
  broadcast.writeUInt32BE((Buffer.from(address).readUInt32BE(0) | hostBits) >>> 0);
  return message(
    type,
    flags,
    header,
    attribute(2, address), // IFA_LOCAL
    attribute(1, address), // IFA_ADDRESS
    attribute(4, broadcast), // IFA_BROADCAST
  );
}

/** rtmsg: family, dst_len, src_len, tos, table, protocol boot, scope universe, type unicast, flags */
const defaultRoute = (family: number) => Buffer.from([family, 0, 0, 0, MAIN_TABLE, 3, 0, 1, 0, 0, 0, 0]);

function modeAttribute(mode: StackedLink['mode']): Buffer {
  const u16 = (type: number, value: number) => attribute(type, Buffer.from([value & 0xff, value >> 8]));
  if (typeof mode === 'number') return u16(1, mode); // IFLA_VLAN_ID
  if (mode in macvlanModes) return u32Attribute(1, macvlanModes[mode as keyof typeof macvlanModes]);
  return u16(1, ipvlanModes[mode as keyof typeof ipvlanModes]);
}

export const rtnetlink = {
  createBridge: (settings: LinkSettings): NetlinkMessage =>
    message(
      rtm.newLink,
      nlm.create | nlm.exclusive,
      interfaceInfo(0, settings.up),
      ...settingAttributes(settings),
      nested(ifla.linkInfo, textAttribute(info.kind, 'bridge')),
    ),

  /** The peer is born inside the network namespace `nsFd`, with its own settings; the kernel takes it up only later. */
  createVeth: (settings: LinkSettings, peer: Omit<LinkSettings, 'up'>, nsFd: number): NetlinkMessage =>
    message(
      rtm.newLink,
      nlm.create | nlm.exclusive,
      interfaceInfo(0, settings.up),
      ...settingAttributes(settings),
      nested(
        ifla.linkInfo,
        textAttribute(info.kind, 'veth'),
        nested(
          info.data,
          nested(
            VETH_INFO_PEER,
            interfaceInfo(0, undefined),
            ...settingAttributes(peer),
            u32Attribute(ifla.netNsFd, nsFd),
          ),
        ),
      ),
    ),

  /** Changes a link, named by its index or its name; an index with a `name` renames it. */
  setLink: (link: number | string, { alias, hairpin, isolated, ...settings }: LinkChanges): NetlinkMessage =>
    message(
      rtm.newLink,
      0,
      interfaceInfo(typeof link === 'number' ? link : 0, settings.up),
      ...settingAttributes(typeof link === 'number' ? settings : { ...settings, name: link }),
      ...(alias === undefined ? [] : [attribute(ifla.alias, Buffer.from(alias))]),
      ...(hairpin === undefined && isolated === undefined
        ? []
        : [
            nested(
              ifla.linkInfo,
              textAttribute(info.portKind, 'bridge'),
              nested(
                info.portData,
                ...(hairpin === undefined ? [] : [u8Attribute(brPort.hairpin, hairpin ? 1 : 0)]),
                ...(isolated === undefined ? [] : [u8Attribute(brPort.isolated, isolated ? 1 : 0)]),
              ),
            ),
          ]),
    ),
  /** Into another network namespace, under a new name there. @throws EEXIST where that is taken */
  moveLink: (index: number, nsFd: number, name: string): NetlinkMessage =>
    message(
      rtm.newLink,
      0,
      interfaceInfo(index, undefined),
      u32Attribute(ifla.netNsFd, nsFd),
      textAttribute(ifla.name, name),
    ),

  createStacked: ({ kind, mode, parent, nsFd, ...settings }: StackedLink): NetlinkMessage =>
    message(
      rtm.newLink,
      nlm.create | nlm.exclusive,
      interfaceInfo(0, settings.up),
      ...settingAttributes(settings),
      u32Attribute(IFLA_LINK, parent),
      ...(nsFd === undefined ? [] : [u32Attribute(ifla.netNsFd, nsFd)]),
      nested(ifla.linkInfo, textAttribute(info.kind, kind), nested(info.data, modeAttribute(mode))),
    ),

  deleteLink: (name: string): NetlinkMessage =>
    message(rtm.delLink, 0, interfaceInfo(0, undefined), textAttribute(ifla.name, name)),

  /** Deletes every link of a group, with one grace period for all of them. Group 0 is every other link: refused. */
  deleteGroup(group: number): NetlinkMessage {
    if (group === 0) throw new GantryError('internal', 'group 0 holds the links of the host');
    return message(rtm.delLink, 0, interfaceInfo(0, undefined), u32Attribute(ifla.group, group));
  },

  addAddress: (address: LinkAddress): NetlinkMessage =>
    addressMessage(rtm.newAddress, nlm.create | nlm.replace, address),

  deleteAddress: (address: LinkAddress): NetlinkMessage => addressMessage(rtm.delAddress, 0, address),

  /** Takes the place of one that is there, of the same family. */
  addDefaultRoute: (index: number, gateway: Uint8Array): NetlinkMessage =>
    message(
      rtm.newRoute,
      nlm.create | nlm.replace,
      defaultRoute(familyOf(gateway)),
      attribute(5, gateway),
      u32Attribute(4, index),
    ),
  /** A default route without a gateway: everybody is a neighbour (ipvlan's l3). */
  addDeviceRoute: (index: number): NetlinkMessage =>
    message(rtm.newRoute, nlm.create | nlm.replace, defaultRoute(AF_INET), u32Attribute(4, index)),
  /** @throws ESRCH, where there is none */
  deleteDefaultRoute: (family: 4 | 6): NetlinkMessage =>
    message(rtm.delRoute, 0, defaultRoute(family === 6 ? AF_INET6 : AF_INET)),
} as const;

const dump = (socket: NetlinkSocket, type: number, header: Uint8Array, about: string) =>
  socket.request([{ type, flags: nlm.request | nlm.dump, body: header }], about);

/** Reads the body of an RTM_NEWLINK message. @throws GantryError corrupt */
export function readLink(body: Uint8Array): Link {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  if (bytes.length < 16) throw new GantryError('corrupt', `a link message of ${bytes.length} bytes`);
  const attributes = readAttributes(bytes.subarray(16));
  const linkInfo = attributes.get(ifla.linkInfo);
  const text = (value: Buffer | undefined) => value?.toString('utf8').replace(/\0$/, '');
  return {
    index: bytes.readInt32LE(4),
    up: (bytes.readUInt32LE(8) & IFF_UP) !== 0,
    name: text(attributes.get(ifla.name)) ?? '',
    mtu: number(attributes.get(ifla.mtu)) ?? 0,
    mac: (attributes.get(ifla.address)?.toString('hex').match(/../g) ?? []).join(':'),
    kind: linkInfo === undefined ? undefined : text(readAttributes(linkInfo).get(info.kind)),
    master: number(attributes.get(ifla.master)),
    alias: text(attributes.get(ifla.alias)),
    gsoIpv4MaxSize: number(attributes.get(ifla.gsoIpv4MaxSize)),
  };
}

function number(value: Buffer | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (value.length < 4) throw new GantryError('corrupt', `a netlink number of ${value.length} bytes`);
  return value.readUInt32LE(0);
}

export const listLinks = (socket: NetlinkSocket): readonly Link[] =>
  dump(socket, rtm.getLink, Buffer.alloc(16), 'listing links').map(({ body }) => readLink(body));

/** @throws SyscallError ENODEV */
export function linkNamed(socket: NetlinkSocket, name: string): Link {
  const asked: NetlinkMessage = {
    type: rtm.getLink,
    flags: nlm.request,
    body: Buffer.concat([Buffer.alloc(16), textAttribute(ifla.name, name)]),
  };
  const [answer] = socket.request([asked], `looking up link ${name}`);
  return readLink(answer?.body ?? Buffer.alloc(0));
}

/** Addresses of every link, of one family; IPv6's own link-local ones too. */
export function listAddresses(socket: NetlinkSocket, family: 4 | 6 = 4): readonly LinkAddress[] {
  const header = Buffer.alloc(8);
  header[0] = family === 6 ? AF_INET6 : AF_INET;
  return dump(socket, rtm.getAddress, header, 'listing addresses').map(({ body }) => {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
    const attributes = readAttributes(bytes.subarray(8));
    return {
      index: bytes.readUInt32LE(4),
      prefixLength: bytes[1] ?? 0,
      address: attributes.get(2) ?? attributes.get(1) ?? Buffer.alloc(family === 6 ? 16 : 4),
    };
  });
}

const UNICAST = 1;
/** Routes that refuse on purpose claim their network too. */
const REFUSING: ReadonlySet<number> = new Set([6, 7, 8]); // blackhole, unreachable, prohibit
const rta = { destination: 1, link: 4, gateway: 5, priority: 6, multipath: 9, table: 15 } as const;

/** Routes of every table that lead, or refuse to lead, somewhere; those to our own addresses are left out. */
export function listRoutes(socket: NetlinkSocket, wanted: 4 | 6 = 4): readonly Route[] {
  const header = Buffer.alloc(12);
  header[0] = wanted === 6 ? AF_INET6 : AF_INET;
  const routes: Route[] = [];
  for (const { body } of dump(socket, rtm.getRoute, header, 'listing routes')) {
    const [family, prefixLength = 0, , , table = 0, , , type = 0] = body;
    if (family !== header[0] || (type !== UNICAST && !REFUSING.has(type))) continue;
    const attributes = readAttributes(body.subarray(12));
    const nextHop = attributes.get(rta.multipath); // rtnexthop: length, flags, hops, link
    routes.push({
      destination: attributes.get(rta.destination) ?? Buffer.alloc(wanted === 6 ? 16 : 4),
      prefixLength,
      index: number(attributes.get(rta.link)) ?? number(nextHop?.subarray(4)),
      gateway: attributes.get(rta.gateway),
      priority: number(attributes.get(rta.priority)) ?? 0,
      table: number(attributes.get(rta.table)) ?? table,
    });
  }
  return routes;
}
