import { GantryError } from '#errors/index.ts';

/** The types of a set's fields: nft's own numbers, by which it prints them, and their bytes. */
const types = {
  address: { number: 7, bytes: 4 }, // ipv4_addr
  address6: { number: 8, bytes: 16 }, // ipv6_addr
  mac: { number: 9, bytes: 6 }, // ether_addr
  protocol: { number: 12, bytes: 1 }, // inet_proto
  port: { number: 13, bytes: 2 }, // inet_service
  link: { number: 41, bytes: 16 }, // ifname
} as const;
export type KeyType = keyof typeof types;

const TYPE_BITS = 6;
const padded = (bytes: number) => (bytes + 3) & ~3;

/** The number of a concatenation: each field's in 6 bits, the first highest. */
export const keyTypeNumber = (key: readonly KeyType[]): number =>
  key.reduce((number, type) => (number << TYPE_BITS) | types[type].number, 0);

/** In a concatenation each field is padded to a register's word; a field alone is not. */
export const keyLength = (key: readonly KeyType[]): number => {
  const [only, ...more] = key.map((type) => types[type].bytes);
  return only !== undefined && more.length === 0 ? only : key.reduce((sum, type) => sum + padded(types[type].bytes), 0);
};

/** The bytes of a concatenation of fields. @throws GantryError internal where a field's bytes do not fit its type */
export function keyBytes(key: readonly KeyType[], values: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.alloc(keyLength(key));
  let at = 0;
  for (const [index, type] of key.entries()) {
    const value = values[index];
    if (value?.length !== types[type].bytes)
      throw new GantryError('internal', `a set's field ${type} of ${value?.length ?? 'no'} bytes`);
    bytes.set(value, at);
    at += padded(types[type].bytes);
  }
  return bytes;
}

/** A field's words in registers, for expressions that load it. */
export const keyWords = (type: KeyType): number => padded(types[type].bytes) / 4;

/** Of the protocols with ports (IANA: assigned internet protocol numbers). */
export const protocolNumbers = { tcp: 6, udp: 17, sctp: 132 } as const;

export const fieldBytes = {
  link(name: string): Buffer {
    const bytes = Buffer.alloc(types.link.bytes);
    bytes.write(name);
    return bytes;
  },
  mac: (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex'),
  port: (port: number): Buffer => Buffer.from([port >> 8, port & 0xff]),
  protocol: (protocol: keyof typeof protocolNumbers): Buffer => Buffer.from([protocolNumbers[protocol]]),
} as const;
