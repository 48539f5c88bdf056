import {
  attribute,
  be32Attribute,
  type NetlinkMessage,
  type NetlinkSocket,
  nested,
  netlinkFlags as nlm,
  textAttribute,
} from './netlink.ts';

/**
 * nftables by its netlink messages (include/uapi/linux/netfilter/nf_tables.h), family `inet`. A batch is one atomic
 * transaction: all of it is in force, or none. Registers are numbered as there: 1 is 16 bytes wide, 8 and 9 are its
 * first two 4-byte words.
 */
const NFPROTO_INET = 1;
const NFPROTO_IPV4 = 2;
const SUBSYSTEM = 10 << 8;
const BATCH_BEGIN = 16;
const BATCH_END = 17;

/** nfgenmsg: family, version, resource id in network order. */
const header = (family: number, resource = 0) => Buffer.from([family, 0, resource >> 8, resource & 0xff]);
const change = (command: number, flags: number, ...attributes: readonly Buffer[]): NetlinkMessage => ({
  type: SUBSYSTEM | command,
  flags: nlm.request | flags,
  body: Buffer.concat([header(NFPROTO_INET), ...attributes]),
});

/** One expression of a rule. */
export type Expression = Buffer;
export type Verdict = 'accept' | 'drop';

const expression = (name: string, ...attributes: readonly Buffer[]): Expression =>
  nested(1, textAttribute(1, name), ...(attributes.length === 0 ? [] : [nested(2, ...attributes)]));
const value = (type: number, bytes: Uint8Array) => nested(type, attribute(1, bytes));
const compare = (operator: 'eq' | 'neq', bytes: Uint8Array): Expression =>
  expression('cmp', be32Attribute(1, 1), be32Attribute(2, operator === 'eq' ? 0 : 1), value(3, bytes));
const mask = (bytes: Uint8Array): Expression =>
  expression(
    'bitwise',
    be32Attribute(1, 1),
    be32Attribute(2, 1),
    be32Attribute(3, bytes.length),
    value(4, bytes),
    value(5, new Uint8Array(bytes.length)),
  );
const meta = (key: number): Expression => expression('meta', be32Attribute(2, key), be32Attribute(1, 1));
const payload = (register: number, base: 'network' | 'transport', offset: number, length: number): Expression =>
  expression(
    'payload',
    be32Attribute(1, register),
    be32Attribute(2, base === 'network' ? 1 : 2),
    be32Attribute(3, offset),
    be32Attribute(4, length),
  );
const interfaceName = (name: string) => {
  const bytes = Buffer.alloc(16);
  bytes.write(name);
  return bytes;
};
const hostOrder = (number: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(number);
  return bytes;
};

const protocols = { tcp: 6, udp: 17 } as const;

/** Matches and statements, each named for what `nft` calls it. */
export const match = {
  iifname: (operator: 'eq' | 'neq', name: string) => [meta(6), compare(operator, interfaceName(name))],
  oifname: (operator: 'eq' | 'neq', name: string) => [meta(7), compare(operator, interfaceName(name))],
  ipv4: () => [meta(15), compare('eq', Uint8Array.of(NFPROTO_IPV4))],
  l4proto: (protocol: 'tcp' | 'udp') => [meta(16), compare('eq', Uint8Array.of(protocols[protocol]))],
  /** `ip saddr` or `ip daddr` in a network; follows `ipv4()`. */
  ip: (field: 'saddr' | 'daddr', network: Uint8Array, netmask: Uint8Array) => [
    payload(1, 'network', field === 'saddr' ? 12 : 16, 4),
    mask(netmask),
    compare('eq', network),
  ],
  /** `fib daddr type local` */
  localDestination: () => [
    expression('fib', be32Attribute(3, 2), be32Attribute(2, 3), be32Attribute(1, 1)),
    compare('eq', hostOrder(2)),
  ],
  /** `ct state established,related` */
  established: () => [
    expression('ct', be32Attribute(2, 0), be32Attribute(1, 1)),
    mask(hostOrder(0b110)),
    compare('neq', hostOrder(0)),
  ],
  /** `ct status dnat` */
  translated: () => [
    expression('ct', be32Attribute(2, 2), be32Attribute(1, 1)),
    mask(hostOrder(0x20)),
    compare('neq', hostOrder(0)),
  ],
} as const;

const dnatFromRegisters = expression(
  'nat',
  be32Attribute(1, 1),
  be32Attribute(2, NFPROTO_IPV4),
  be32Attribute(3, 1),
  be32Attribute(5, 9),
);
const lookup = (map: string) => expression('lookup', textAttribute(1, map), be32Attribute(2, 1), be32Attribute(3, 1));

export const statement = {
  verdict: (verdict: Verdict): Expression[] => [
    expression('immediate', be32Attribute(1, 0), nested(2, nested(2, be32Attribute(1, verdict === 'accept' ? 1 : 0)))),
  ],
  masquerade: (): Expression[] => [expression('masq')],
  /** `dnat ip to ip daddr . th dport map @map` */
  dnatByAddressAndPort: (map: string): Expression[] => [
    payload(1, 'network', 16, 4),
    payload(9, 'transport', 2, 2),
    lookup(map),
    dnatFromRegisters,
  ],
  /** `dnat ip to th dport map @map` */
  dnatByPort: (map: string): Expression[] => [payload(1, 'transport', 2, 2), lookup(map), dnatFromRegisters],
} as const;

export interface BaseChain {
  readonly name: string;
  readonly type: 'nat' | 'filter';
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
  readonly priority: number;
}
const hooks = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

export interface MapElement {
  readonly map: string;
  readonly key: Uint8Array;
  readonly data: Uint8Array;
}

const ADDRESS = 7; // nft's own type numbers, for how it prints a set
const PORT = 13;
const ADDRESS_AND_PORT = (ADDRESS << 6) | PORT;

const element = (table: string, command: number, flags: number, { map, key, data }: MapElement) =>
  change(
    command,
    flags,
    textAttribute(1, table),
    textAttribute(2, map),
    nested(3, nested(1, value(1, key), value(2, data))),
  );

export const nft = {
  addTable: (table: string) => change(0, nlm.create, textAttribute(1, table), be32Attribute(2, 0)),
  deleteTable: (table: string) => change(2, 0, textAttribute(1, table)),
  addChain: (table: string, chain: BaseChain) =>
    change(
      3,
      nlm.create,
      textAttribute(1, table),
      textAttribute(3, chain.name),
      nested(4, be32Attribute(1, hooks[chain.hook]), be32Attribute(2, chain.priority)),
      be32Attribute(5, 1),
      textAttribute(7, chain.type),
    ),
  addRule: (table: string, chain: string, expressions: readonly Expression[]) =>
    change(6, nlm.create | nlm.append, textAttribute(1, table), textAttribute(2, chain), nested(4, ...expressions)),
  /** A map to `ipv4_addr . inet_service`, keyed by port or by address and port. `id` is unique in its batch. */
  addPortMap: (table: string, map: string, keyedBy: 'port' | 'address-and-port', id: number) =>
    change(
      9,
      nlm.create,
      textAttribute(1, table),
      textAttribute(2, map),
      be32Attribute(3, 8), // NFT_SET_MAP
      be32Attribute(4, keyedBy === 'port' ? PORT : ADDRESS_AND_PORT),
      be32Attribute(5, keyedBy === 'port' ? 2 : 8),
      be32Attribute(6, ADDRESS_AND_PORT),
      be32Attribute(7, 8),
      be32Attribute(10, id),
    ),
  addElement: (table: string, of: MapElement) => element(table, 12, nlm.create, of),
  deleteElement: (table: string, of: MapElement) => element(table, 14, 0, of),
} as const;

/** Carries out changes as one transaction. @throws SyscallError of the first that was refused; then none is in force */
export function commit(socket: NetlinkSocket, changes: readonly NetlinkMessage[], about: string): void {
  const last = changes.at(-1);
  if (last === undefined) return;
  const frame = (type: number) => ({ type, flags: nlm.request, body: header(0, 10) });
  const body = [...changes.slice(0, -1), { ...last, flags: last.flags | nlm.ack }];
  socket.request([frame(BATCH_BEGIN), ...body, frame(BATCH_END)], about);
}
