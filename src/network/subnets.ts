import { GantryError } from '#errors/index.ts';
import { type Address, bitsOf, formatAddress, parseAddress } from './addresses.ts';

/** A network, e.g. 172.17.0.0/16: the address's bits behind the prefix are 0. */
export interface Range {
  readonly family: 4 | 6;
  readonly network: bigint;
  readonly prefixLength: number;
}

/** What a bridge's containers get their addresses from. */
export interface Subnet extends Range {
  readonly gateway: bigint;
  /** Addresses are chosen from here only; those asked for by name may be anywhere. */
  readonly chosenFrom?: Range;
  /** Addresses of others on that network, by name; never given out. */
  readonly auxiliary?: ReadonlyMap<string, bigint>;
}

const size = ({ family, prefixLength }: Range) => 1n << BigInt(bitsOf[family] - prefixLength);
export const lastAddress = (range: Range): bigint => range.network + size(range) - 1n;
export const netmask = ({ family, prefixLength }: Range): Address => ({
  family,
  value: (1n << BigInt(bitsOf[family])) - (1n << BigInt(bitsOf[family] - prefixLength)),
});
export const rangeOf = ({ family, value }: Address, prefixLength: number): Range => ({
  family,
  network: value & netmask({ family, prefixLength, network: 0n }).value,
  prefixLength,
});
export const networkAddress = ({ family, network }: Range): Address => ({ family, value: network });
export const gatewayOf = ({ family, gateway }: Subnet): Address => ({ family, value: gateway });
export const formatRange = (range: Range): string => `${formatAddress(networkAddress(range))}/${range.prefixLength}`;
export const contains = (range: Range, { family, value }: Address): boolean =>
  family === range.family && value >= range.network && value <= lastAddress(range);

export function overlaps(a: Range, b: Range): boolean {
  if (a.family !== b.family) return false;
  return a.network <= lastAddress(b) && b.network <= lastAddress(a);
}

/** Whether a container may have it: neither the network's own address nor its broadcast. */
export const isHost = (range: Range, value: bigint): boolean =>
  value > range.network && (range.family === 6 ? value <= lastAddress(range) : value < lastAddress(range));

/** Reads `192.0.2.0/24` or `2001:db8::/64`. @throws GantryError invalid, also where bits behind the prefix are set */
export function parseRange(text: string, what: string): Range {
  const [addressText = '', prefixText = '', ...rest] = text.split('/');
  const address = parseAddress(addressText);
  const prefixLength = Number(prefixText);
  if (
    address === undefined ||
    rest.length > 0 ||
    !/^\d{1,3}$/.test(prefixText) ||
    prefixLength > bitsOf[address.family]
  )
    throw new GantryError(
      'invalid',
      `invalid ${what} "${text}": it is no address with a prefix length, e.g. 10.5.0.0/24`,
    );
  const range = rangeOf(address, prefixLength);
  if (range.network !== address.value)
    throw new GantryError('invalid', `invalid ${what} "${text}": it should be ${formatRange(range)}`);
  return range;
}

/** Reads `--bip`: the gateway with the length of its network's prefix. @throws GantryError invalid */
export function parseSubnet(text: string): Subnet {
  const invalid = (why: string) =>
    new GantryError('invalid', `bridge address "${text}": ${why}; expected e.g. 172.17.0.1/16`);
  const [addressText = '', prefixText = '', ...rest] = text.split('/');
  const gateway = parseAddress(addressText);
  if (gateway === undefined || gateway.family === 6 || !/^\d{1,2}$/.test(prefixText) || rest.length > 0)
    throw invalid('it is no IPv4 address with a prefix length');
  const prefixLength = Number(prefixText);
  if (prefixLength < 8 || prefixLength > 30) throw invalid('the prefix length must be from 8 to 30');
  const range = rangeOf(gateway, prefixLength);
  if (!isHost(range, gateway.value)) throw invalid("the gateway cannot be the network's first or last address");
  return { ...range, gateway: gateway.value };
}

/** A part of the private addresses that networks are cut from, each with a prefix of `size`. */
export interface AddressPool {
  readonly base: Range;
  readonly size: number;
}

/** Reads `base=10.10.0.0/16,size=24`. @throws GantryError invalid */
export function parsePool(text: string): AddressPool {
  const [, base = '', length = ''] = /^base=([^,]+),size=(\d{1,3})$/.exec(text) ?? [];
  if (base === '') throw new GantryError('invalid', `address pool "${text}": expected base=10.10.0.0/16,size=24`);
  const range = parseRange(base, 'address pool');
  if (Number(length) < range.prefixLength || Number(length) > bitsOf[range.family] - 2)
    throw new GantryError('invalid', `address pool "${text}": no networks of size ${length} fit into ${base}`);
  return { base: range, size: Number(length) };
}

const pool = (base: string, length: number): AddressPool => ({ base: parseRange(base, 'pool'), size: length });

/** Of the default bridge: Docker's own, in its order: 172.17–172.31 as /16, then 192.168 as /20. */
export const bridgePools: readonly AddressPool[] = [
  ...Array.from({ length: 15 }, (_, n) => pool(`172.${17 + n}.0.0/16`, 16)),
  pool('192.168.0.0/16', 20),
];
/** Of networks that people make: the same addresses as /24, so that thousands fit. */
export const networkPools: readonly AddressPool[] = [
  ...Array.from({ length: 14 }, (_, n) => pool(`172.${18 + n}.0.0/16`, 24)),
  pool('192.168.0.0/16', 24),
];

/** The first network of the pools that overlaps nothing of `taken`. @throws GantryError exhausted */
export function chooseSubnet(taken: readonly Range[], pools: readonly AddressPool[] = bridgePools): Subnet {
  for (const { base, size: prefixLength } of pools) {
    const step = size({ ...base, prefixLength });
    for (let { network } = base; network <= lastAddress(base); network += step) {
      const range = { family: base.family, network, prefixLength };
      const clash = taken.find((other) => overlaps(other, range));
      if (clash === undefined) return { ...range, gateway: network + 1n };
      // A large network in the way is passed at once.
      const behind = lastAddress(clash) + 1n - step;
      if (behind > network) network = base.network + ((behind - base.network) / step) * step;
    }
  }
  throw new GantryError(
    'exhausted',
    'could not find an available, non-overlapping address pool among the defaults to assign to the network; give one (network create --subnet, daemon --bip or --default-address-pool)',
    { code: 'no-subnet' },
  );
}

/** The first free host address behind `after`, going round, so that one just freed is the last to be used again. */
export function nextAddress(subnet: Subnet, used: ReadonlySet<bigint>, after: bigint): bigint | undefined {
  const range = subnet.chosenFrom ?? subnet;
  const last = lastAddress(range);
  const kept = new Set([subnet.gateway, ...(subnet.auxiliary?.values() ?? [])]);
  let value = after >= range.network && after < last ? after + 1n : range.network;
  // Each step passes one that is used or kept, or an end of the network.
  for (let step = 0; step < used.size + kept.size + 3; step++) {
    if (isHost(subnet, value) && !kept.has(value) && !used.has(value)) return value;
    value = value === last ? range.network : value + 1n;
  }
  return undefined;
}
