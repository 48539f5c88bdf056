import { GantryError } from '#errors/index.ts';

/** IPv4 arithmetic; an address is an unsigned 32-bit number. */
export interface Range {
  readonly network: number;
  readonly prefixLength: number;
}

/** A bridge's network: hosts are what lies between its first and its last address, less the gateway. */
export interface Subnet extends Range {
  readonly gateway: number;
}

/** Reads `192.0.2.1`; no other spelling of an address is taken. */
export function parseAddress(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let address = 0;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    address = address * 256 + Number(part);
  }
  return address;
}

export const formatAddress = (address: number): string =>
  [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');

/** Four bytes in network order. @throws GantryError internal for a text that is no address */
export function addressBytes(address: number | string): Buffer {
  const number = typeof address === 'string' ? parseAddress(address) : address;
  if (number === undefined) throw new GantryError('internal', `"${address}" is no IPv4 address`);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
}

export const addressFromBytes = (bytes: Uint8Array): number =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readUInt32BE(0);

export const netmask = (prefixLength: number): number => (prefixLength === 0 ? 0 : (-1 << (32 - prefixLength)) >>> 0);
export const networkOf = (address: number, prefixLength: number): number => (address & netmask(prefixLength)) >>> 0;
export const formatRange = ({ network, prefixLength }: Range): string => `${formatAddress(network)}/${prefixLength}`;
export const lastAddress = ({ network, prefixLength }: Range): number => network + 2 ** (32 - prefixLength) - 1;

export function overlaps(a: Range, b: Range): boolean {
  const shorter = Math.min(a.prefixLength, b.prefixLength);
  return networkOf(a.network, shorter) === networkOf(b.network, shorter);
}

/** Reads `--bip`: the gateway with the length of its network's prefix. @throws GantryError invalid */
export function parseSubnet(text: string): Subnet {
  const invalid = (why: string) =>
    new GantryError('invalid', `bridge address "${text}": ${why}; expected e.g. 172.17.0.1/16`);
  const [addressText = '', prefixText = '', ...rest] = text.split('/');
  const gateway = parseAddress(addressText);
  if (gateway === undefined || !/^\d{1,2}$/.test(prefixText) || rest.length > 0)
    throw invalid('it is no IPv4 address with a prefix length');
  const prefixLength = Number(prefixText);
  if (prefixLength < 8 || prefixLength > 30) throw invalid('the prefix length must be from 8 to 30');
  const network = networkOf(gateway, prefixLength);
  if (gateway === network || gateway === lastAddress({ network, prefixLength }))
    throw invalid("the gateway cannot be the network's first or last address");
  return { network, prefixLength, gateway };
}

/** Docker's own pools, in its order: 172.17–172.31 as /16, then 192.168 as /20. */
function* pools(): Generator<Range> {
  for (let second = 17; second < 32; second++)
    yield { network: ((172 << 24) | (second << 16)) >>> 0, prefixLength: 16 };
  for (let third = 0; third < 256; third += 16)
    yield { network: ((192 << 24) | (168 << 16) | (third << 8)) >>> 0, prefixLength: 20 };
}

/** The first pool that overlaps nothing of `taken`. @throws GantryError exhausted */
export function chooseSubnet(taken: readonly Range[]): Subnet {
  for (const pool of pools())
    if (!taken.some((range) => overlaps(range, pool))) return { ...pool, gateway: pool.network + 1 };
  throw new GantryError(
    'exhausted',
    'every private network that a bridge could use overlaps a route of this host; give one with --bip',
    { code: 'no-subnet' },
  );
}

/** The first free host address behind `after`, going round, so that one just freed is the last to be used again. */
export function nextAddress(subnet: Subnet, used: ReadonlySet<number>, after: number): number | undefined {
  const first = subnet.network + 1;
  const count = lastAddress(subnet) - first;
  const start = after >= first && after < first + count ? after - first + 1 : 0;
  for (let step = 0; step < count; step++) {
    const address = first + ((start + step) % count);
    if (address !== subnet.gateway && !used.has(address)) return address;
  }
  return undefined;
}
