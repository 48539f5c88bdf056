import {
  attribute,
  type NetlinkMessage,
  type NetlinkSocket,
  nested,
  netlinkFlags as nlm,
  readAttributes,
  textAttribute,
  u32Attribute,
} from './netlink.ts';

/** rtnetlink(7) messages for what a bridge network needs. Addresses are 4 bytes in network order. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  readonly mac: string;
  readonly master: number | undefined;
  readonly alias: string | undefined;
}

export interface LinkAddress {
  readonly index: number;
  readonly address: Uint8Array;
  readonly prefixLength: number;
}

export interface Route {
  readonly destination: Uint8Array;
  readonly prefixLength: number;
  readonly index: number | undefined;
  readonly gateway: Uint8Array | undefined;
  readonly priority: number;
}

export interface LinkSettings {
  readonly name?: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly master?: number;
  readonly alias?: string;
  readonly up?: boolean;
}

const rtm = { newLink: 16, delLink: 17, getLink: 18, newAddress: 20, getAddress: 22, newRoute: 24, getRoute: 26 };
const ifla = { address: 1, name: 3, mtu: 4, master: 10, linkInfo: 18, alias: 20, netNsFd: 28 } as const;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const AF_INET = 2;
const IFF_UP = 1;

function interfaceInfo(index: number, up: boolean | undefined): Buffer {
  const info = Buffer.alloc(16);
  info.writeInt32LE(index, 4);
  info.writeUInt32LE(up === true ? IFF_UP : 0, 8);
  info.writeUInt32LE(up === undefined ? 0 : IFF_UP, 12);
  return info;
}

const macBytes = (mac: string) => Buffer.from(mac.replaceAll(':', ''), 'hex');

const settingAttributes = (settings: LinkSettings): readonly Buffer[] => [
  ...(settings.name === undefined ? [] : [textAttribute(ifla.name, settings.name)]),
  ...(settings.mac === undefined ? [] : [attribute(ifla.address, macBytes(settings.mac))]),
  ...(settings.mtu === undefined ? [] : [u32Attribute(ifla.mtu, settings.mtu)]),
  ...(settings.master === undefined ? [] : [u32Attribute(ifla.master, settings.master)]),
  ...(settings.alias === undefined ? [] : [attribute(ifla.alias, Buffer.from(settings.alias))]),
];

const message = (type: number, flags: number, ...parts: readonly Uint8Array[]): NetlinkMessage => ({
  type,
  flags: nlm.request | nlm.ack | flags,
  body: Buffer.concat(parts),
});

export const rtnetlink = {
  createBridge: (settings: LinkSettings): NetlinkMessage =>
    message(
      rtm.newLink,
      nlm.create | nlm.exclusive,
      interfaceInfo(0, settings.up),
      ...settingAttributes(settings),
      nested(ifla.linkInfo, textAttribute(IFLA_INFO_KIND, 'bridge')),
    ),

  /** The peer is born inside the network namespace `nsFd`, with its own settings. */
  createVeth: (settings: LinkSettings, peer: LinkSettings, nsFd: number): NetlinkMessage =>
    message(
      rtm.newLink,
      nlm.create | nlm.exclusive,
      interfaceInfo(0, settings.up),
      ...settingAttributes(settings),
      nested(
        ifla.linkInfo,
        textAttribute(IFLA_INFO_KIND, 'veth'),
        nested(
          IFLA_INFO_DATA,
          nested(
            VETH_INFO_PEER,
            interfaceInfo(0, peer.up),
            ...settingAttributes(peer),
            u32Attribute(ifla.netNsFd, nsFd),
          ),
        ),
      ),
    ),

  setLink: (index: number, settings: LinkSettings): NetlinkMessage =>
    message(rtm.newLink, 0, interfaceInfo(index, settings.up), ...settingAttributes(settings)),

  deleteLink: (name: string): NetlinkMessage =>
    message(rtm.delLink, 0, interfaceInfo(0, undefined), textAttribute(ifla.name, name)),

  addAddress({ index, address, prefixLength }: LinkAddress): NetlinkMessage {
    const info = Buffer.alloc(8);
    info[0] = AF_INET;
    info[1] = prefixLength;
    info.writeUInt32LE(index, 4);
    const broadcast = Buffer.alloc(4);
    broadcast.writeUInt32BE((Buffer.from(address).readUInt32BE(0) | (2 ** (32 - prefixLength) - 1)) >>> 0);
    return message(
      rtm.newAddress,
      nlm.create | nlm.replace,
      info,
      attribute(2, address), // IFA_LOCAL
      attribute(1, address), // IFA_ADDRESS
      attribute(4, broadcast), // IFA_BROADCAST
    );
  },

  addDefaultRoute(index: number, gateway: Uint8Array): NetlinkMessage {
    // rtmsg: family, dst_len, src_len, tos, table main, protocol boot, scope universe, type unicast, flags
    const info = Buffer.from([AF_INET, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0]);
    return message(rtm.newRoute, nlm.create | nlm.replace, info, attribute(5, gateway), u32Attribute(4, index));
  },
};

const dump = (socket: NetlinkSocket, type: number, header: Uint8Array, about: string) =>
  socket.request([{ type, flags: nlm.request | nlm.dump, body: header }], about);

function readLink(body: Uint8Array): Link {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  const attributes = readAttributes(bytes.subarray(16));
  const text = (type: number) => attributes.get(type)?.toString('utf8').replace(/\0$/, '');
  return {
    index: bytes.readInt32LE(4),
    up: (bytes.readUInt32LE(8) & IFF_UP) !== 0,
    name: text(ifla.name) ?? '',
    mtu: attributes.get(ifla.mtu)?.readUInt32LE(0) ?? 0,
    mac: (attributes.get(ifla.address)?.toString('hex').match(/../g) ?? []).join(':'),
    master: attributes.get(ifla.master)?.readUInt32LE(0),
    alias: text(ifla.alias),
  };
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
  return readLink(answer?.body ?? Buffer.alloc(16));
}

/** IPv4 addresses of every link. */
export function listAddresses(socket: NetlinkSocket): readonly LinkAddress[] {
  const header = Buffer.alloc(8);
  header[0] = AF_INET;
  return dump(socket, rtm.getAddress, header, 'listing addresses').map(({ body }) => {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
    const attributes = readAttributes(bytes.subarray(8));
    return {
      index: bytes.readUInt32LE(4),
      prefixLength: bytes[1] ?? 0,
      address: attributes.get(2) ?? attributes.get(1) ?? Buffer.alloc(4),
    };
  });
}

/** IPv4 unicast routes of every table. */
export function listRoutes(socket: NetlinkSocket): readonly Route[] {
  const header = Buffer.alloc(12);
  header[0] = AF_INET;
  const routes: Route[] = [];
  for (const { body } of dump(socket, rtm.getRoute, header, 'listing routes')) {
    if (body[0] !== AF_INET || body[7] !== 1) continue;
    const attributes = readAttributes(body.subarray(12));
    routes.push({
      destination: attributes.get(1) ?? Buffer.alloc(4),
      prefixLength: body[1] ?? 0,
      index: attributes.get(4)?.readUInt32LE(0),
      gateway: attributes.get(5),
      priority: attributes.get(6)?.readUInt32LE(0) ?? 0,
    });
  }
  return routes;
}
