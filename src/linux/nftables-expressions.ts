import { attribute, be32Attribute, nested, textAttribute } from './netlink.ts';
import type { Expression, NftSet } from './nftables.ts';
import { fieldBytes, keyWords } from './nftables-keys.ts';

/**
 * The expressions of rules, each named for what `nft` calls it. They pass values in registers: 16 words of 4 bytes,
 * numbered from 8. Comparisons use the first; a lookup's key fills them in order.
 */
const WORD_0 = 8;
const NFPROTO_IPV4 = 2;
const NFPROTO_IPV6 = 10;

const expression = (name: string, ...attributes: readonly Buffer[]): Expression =>
  nested(1, textAttribute(1, name), ...(attributes.length === 0 ? [] : [nested(2, ...attributes)]));
const value = (type: number, bytes: Uint8Array) => nested(type, attribute(1, bytes));
const compare = (operator: 'eq' | 'neq', bytes: Uint8Array): Expression =>
  expression('cmp', be32Attribute(1, WORD_0), be32Attribute(2, operator === 'eq' ? 0 : 1), value(3, bytes));
const mask = (bytes: Uint8Array): Expression =>
  expression(
    'bitwise',
    be32Attribute(1, WORD_0),
    be32Attribute(2, WORD_0),
    be32Attribute(3, bytes.length),
    value(4, bytes),
    value(5, new Uint8Array(bytes.length)),
  );
const meta = (key: number, register = WORD_0): Expression =>
  expression('meta', be32Attribute(2, key), be32Attribute(1, register));
const ct = (key: number): Expression => expression('ct', be32Attribute(2, key), be32Attribute(1, WORD_0));
const bases = { link: 0, network: 1, transport: 2 } as const;
const payload = (base: keyof typeof bases, offset: number, length: number, register = WORD_0): Expression =>
  expression(
    'payload',
    be32Attribute(1, register),
    be32Attribute(2, bases[base]),
    be32Attribute(3, offset),
    be32Attribute(4, length),
  );
const hostOrder = (number: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(number);
  return bytes;
};

const metaKeys = { protocol: 1, iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 } as const;
const ctKeys = { state: 0, status: 2 } as const;
const etherTypes = {
  ip: Uint8Array.of(8, 0),
  arp: Uint8Array.of(8, 6),
  ip6: Uint8Array.of(0x86, 0xdd),
} as const;
const ICMPV6 = 58;
const lookup = (set: string, ...more: readonly Buffer[]): Expression =>
  expression('lookup', textAttribute(1, set), be32Attribute(2, WORD_0), ...more);

/** Conditions of a rule. */
export const match = {
  iifname: (operator: 'eq' | 'neq', name: string) => [meta(metaKeys.iifname), compare(operator, fieldBytes.link(name))],
  oifname: (operator: 'eq' | 'neq', name: string) => [meta(metaKeys.oifname), compare(operator, fieldBytes.link(name))],
  /** `iifname "prefix*"` */
  iifnamePrefix: (operator: 'eq' | 'neq', prefix: string) => [
    meta(metaKeys.iifname),
    compare(operator, Buffer.from(prefix)),
  ],
  ipv4: () => [meta(metaKeys.nfproto), compare('eq', Uint8Array.of(NFPROTO_IPV4))],
  ipv6: () => [meta(metaKeys.nfproto), compare('eq', Uint8Array.of(NFPROTO_IPV6))],
  /** `meta l4proto`, by its number */
  protocol: (number: number) => [meta(metaKeys.l4proto), compare('eq', Uint8Array.of(number))],
  /** `icmpv6 type`, also in the family `bridge` */
  icmpv6: (type: number) => [
    meta(metaKeys.l4proto),
    compare('eq', Uint8Array.of(ICMPV6)),
    payload('transport', 0, 1),
    compare('eq', Uint8Array.of(type)),
  ],
  /** `th sport` or `th dport`; follows `protocol()`. */
  port: (field: 'sport' | 'dport', port: number) => [
    payload('transport', field === 'sport' ? 0 : 2, 2),
    compare('eq', fieldBytes.port(port)),
  ],
  /** `ip6 saddr ::`, the source of who has no address yet; follows a match of IPv6. */
  unspecified6: () => [payload('network', 8, 16), compare('eq', new Uint8Array(16))],
  /** `meta protocol`, in the family `bridge` */
  etherType: (type: keyof typeof etherTypes) => [meta(metaKeys.protocol), compare('eq', etherTypes[type])],
  /** `ip saddr` or `ip daddr` in a network; follows `ipv4()`. */
  ip: (field: 'saddr' | 'daddr', operator: 'eq' | 'neq', network: Uint8Array, netmask: Uint8Array) => [
    payload('network', field === 'saddr' ? 12 : 16, 4),
    mask(netmask),
    compare(operator, network),
  ],
  /** `fib daddr type local` */
  localDestination: () => [
    expression('fib', be32Attribute(3, 2), be32Attribute(2, 3), be32Attribute(1, WORD_0)),
    compare('eq', hostOrder(2)),
  ],
  /** `ct state established,related` */
  established: () => [ct(ctKeys.state), mask(hostOrder(0b110)), compare('neq', hostOrder(0))],
  /** `ct state new` */
  fresh: () => [ct(ctKeys.state), mask(hostOrder(0b1000)), compare('neq', hostOrder(0))],
  /** `ct status dnat` */
  translated: () => [ct(ctKeys.status), mask(hostOrder(0x20)), compare('neq', hostOrder(0))],
  /** `a . b . c @set` */
  inSet: (key: readonly Field[], { name }: NftSet) => [...load(key), lookup(name)],
  /** `a . b != @set` */
  notInSet: (key: readonly Field[], { name }: NftSet) => [...load(key), lookup(name, be32Attribute(5, 1))],
} as const;

/** What of a packet can be a field of a set's key. */
const fields = {
  iifname: { type: 'link', load: (register: number) => meta(metaKeys.iifname, register) },
  oifname: { type: 'link', load: (register: number) => meta(metaKeys.oifname, register) },
  'ether saddr': { type: 'mac', load: (register: number) => payload('link', 6, 6, register) },
  'ip saddr': { type: 'address', load: (register: number) => payload('network', 12, 4, register) },
  'ip daddr': { type: 'address', load: (register: number) => payload('network', 16, 4, register) },
  'ip6 saddr': { type: 'address6', load: (register: number) => payload('network', 8, 16, register) },
  'ip6 daddr': { type: 'address6', load: (register: number) => payload('network', 24, 16, register) },
  /** The target of a neighbour's solicitation or advertisement (RFC 4861). */
  'nd target': { type: 'address6', load: (register: number) => payload('transport', 8, 16, register) },
  'arp saddr ether': { type: 'mac', load: (register: number) => payload('network', 8, 6, register) },
  'arp saddr ip': { type: 'address', load: (register: number) => payload('network', 14, 4, register) },
  l4proto: { type: 'protocol', load: (register: number) => meta(metaKeys.l4proto, register) },
  'th dport': { type: 'port', load: (register: number) => payload('transport', 2, 2, register) },
} as const;
export type Field = keyof typeof fields;

function load(key: readonly Field[]): Expression[] {
  let register = WORD_0;
  return key.map((name) => {
    const field = fields[name];
    const loaded = field.load(register);
    register += keyWords(field.type);
    return loaded;
  });
}

const VERDICT_JUMP = -3;

/** What a rule does. */
export const statement = {
  verdict: (verdict: 'accept' | 'drop'): Expression[] => [
    expression('immediate', be32Attribute(1, 0), nested(2, nested(2, be32Attribute(1, verdict === 'accept' ? 1 : 0)))),
  ],
  jump: (chain: string): Expression[] => [
    expression(
      'immediate',
      be32Attribute(1, 0),
      nested(2, nested(2, be32Attribute(1, VERDICT_JUMP), textAttribute(2, chain))),
    ),
  ],
  masquerade: (): Expression[] => [expression('masq')],
  /** `dnat ip to a . b map @map`, or `ip6`: nothing where the map has no such key. */
  dnatByMap: (key: readonly Field[], { name, data = [] }: NftSet): Expression[] => {
    const [address = 'address'] = data;
    return [
      ...load(key),
      lookup(name, be32Attribute(3, WORD_0)),
      expression(
        'nat',
        be32Attribute(1, 1), // destination
        be32Attribute(2, address === 'address6' ? NFPROTO_IPV6 : NFPROTO_IPV4),
        be32Attribute(3, WORD_0), // address
        be32Attribute(5, WORD_0 + keyWords(address)), // port
      ),
    ];
  },
  /** `th sport set` or `th dport set`, which leaves the checksum alone: on `lo` nobody looks at it. */
  setPort: (field: 'sport' | 'dport', port: number): Expression[] => [
    expression('immediate', be32Attribute(1, WORD_0), value(2, fieldBytes.port(port))),
    expression(
      'payload',
      be32Attribute(2, bases.transport),
      be32Attribute(3, field === 'sport' ? 0 : 2),
      be32Attribute(4, 2),
      be32Attribute(5, WORD_0), // source register
      be32Attribute(6, 0), // no checksum
      be32Attribute(7, 0),
    ),
  ],
} as const;
