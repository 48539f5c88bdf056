import { createHash, randomBytes } from 'node:crypto';
import { GantryError } from '#errors/index.ts';
import { parseAddress } from './addresses.ts';
import { type NetworkRecord, rangesOf } from './network-store.ts';
import type { Addressing, CreateNetwork, NetworkDriver } from './networks.ts';
import {
  type AddressPool,
  chooseSubnet,
  contains,
  formatRange,
  isHost,
  networkPools,
  overlaps,
  parseRange,
  type Range,
  rangeOf,
  type Subnet,
} from './subnets.ts';

/** What a network's options ask for; each name is Docker's. */
export interface NetworkSettings {
  readonly mtu: number | undefined;
  /** Containers of the network reach each other. */
  readonly icc: boolean;
  readonly masquerade: boolean;
  /** Where ports are published if nothing is said. */
  readonly hostAddress: string | undefined;
  /** Of macvlan and ipvlan: the link below, and how they lie on it. */
  readonly parent: string | undefined;
  readonly mode: string | undefined;
}

const bridgePrefix = 'com.docker.network.bridge.';
const known: ReadonlySet<string> = new Set([
  `${bridgePrefix}name`,
  `${bridgePrefix}enable_icc`,
  `${bridgePrefix}enable_ip_masquerade`,
  `${bridgePrefix}host_binding_ipv4`,
  `${bridgePrefix}default_bridge`,
  'com.docker.network.driver.mtu',
  'com.docker.network.enable_ipv4',
  'com.docker.network.enable_ipv6',
  'com.docker.network.container_iface_prefix',
  'parent',
  'macvlan_mode',
  'ipvlan_mode',
]);

/** Reads a network's options. @throws GantryError invalid | unsupported, naming the option */
export function settingsOf(options: Readonly<Record<string, string>>): NetworkSettings {
  for (const name of Object.keys(options))
    if (!known.has(name)) throw new GantryError('unsupported', `network option "${name}" is not supported`);
  const truth = (name: string, fallback: boolean): boolean => {
    const value = options[name];
    if (value === undefined || value === '') return fallback;
    if (/^(?:1|t|true)$/i.test(value)) return true;
    if (/^(?:0|f|false)$/i.test(value)) return false;
    throw new GantryError('invalid', `network option ${name}="${value}" is neither true nor false`);
  };
  const mtu = options['com.docker.network.driver.mtu'];
  if (mtu !== undefined && (!/^\d+$/.test(mtu) || Number(mtu) < 68 || Number(mtu) > 65535))
    throw new GantryError('invalid', `the MTU "${mtu}" is not from 68 to 65535`);
  const hostAddress = options[`${bridgePrefix}host_binding_ipv4`];
  if (hostAddress !== undefined && parseAddress(hostAddress)?.family !== 4)
    throw new GantryError('invalid', `host_binding_ipv4 "${hostAddress}" is no IPv4 address`);
  return {
    mtu: mtu === undefined ? undefined : Number(mtu),
    icc: truth(`${bridgePrefix}enable_icc`, true),
    masquerade: truth(`${bridgePrefix}enable_ip_masquerade`, true),
    hostAddress,
    parent: options.parent,
    mode: options.macvlan_mode ?? options.ipvlan_mode,
  };
}

export interface Surroundings {
  readonly others: readonly NetworkRecord[];
  /** What this host reaches by links that are not ours, of both families. */
  readonly inUse: readonly Range[];
  readonly pools: readonly AddressPool[] | undefined;
  /** The default bridge's id: IPv6 networks of an engine begin alike. */
  readonly engineId: string;
}

/** A record for what is asked; nothing is made. @throws GantryError invalid | unsupported | conflict | exhausted */
export function recordFor(request: CreateNetwork, around: Surroundings): NetworkRecord {
  const { name, internal = false, attachable = false, labels = {}, options = {} } = request;
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name))
    throw new GantryError('invalid', `invalid network name "${name}": only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  if (around.others.some((other) => other.name === name))
    throw new GantryError('conflict', `network with name ${name} already exists`, { code: 'name-in-use' });
  const driver = driverOf(request.driver ?? 'bridge');
  settingsOf(options);
  const id = randomBytes(32).toString('hex');
  const bridge = options[`${bridgePrefix}name`] ?? `gtbr${id.slice(0, 11)}`;
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$/.test(bridge))
    throw new GantryError('invalid', `"${bridge}" cannot name a bridge; use up to 15 letters, digits, '_', '.' or '-'`);
  const asked = request.addressing ?? [];
  const familyOf = ({ subnet = '' }: Partial<Addressing>) => (subnet.includes(':') ? 6 : 4);
  const [first, ...more] = asked.filter((one) => familyOf(one) === 4);
  const [first6, ...more6] = asked.filter((one) => familyOf(one) === 6);
  if (more.length > 0 || more6.length > 0)
    throw new GantryError('unsupported', `network ${name}: more than one subnet of a family is not supported`);
  const ours = around.others.flatMap(rangesOf);
  const taken = driver === 'bridge' ? [...around.inUse, ...ours] : ours;
  const ipv4 = options['com.docker.network.enable_ipv4'] !== 'false';
  const ipv6 = request.ipv6 === true || first6 !== undefined || options['com.docker.network.enable_ipv6'] === 'true';
  if (!ipv4 && !ipv6) throw new GantryError('invalid', `network ${name}: IPv4 or IPv6 must be enabled`);
  return {
    id,
    name,
    driver,
    created: new Date().toISOString(),
    internal,
    attachable,
    labels,
    options,
    ...(driver === 'bridge' ? { bridge } : {}),
    ...(ipv4
      ? {
          ipv4: first?.subnet ? givenSubnet(first, taken) : withDetails(chooseSubnet(taken, poolsOf(around, 4)), first),
        }
      : {}),
    ...(ipv6
      ? { ipv6: first6 === undefined ? chooseSubnet(taken, poolsOf(around, 6)) : givenSubnet(first6, taken) }
      : {}),
  };
}

function driverOf(text: string): NetworkDriver {
  switch (text) {
    case 'bridge':
    case 'macvlan':
    case 'ipvlan':
      return text;
    case 'default':
    case '':
      return 'bridge';
    case 'host':
    case 'null':
    case 'none':
      throw new GantryError('forbidden', `only one instance of "${text}" network is allowed`);
    default:
      throw new GantryError('not-found', `network driver "${text}" not found; known are bridge, macvlan and ipvlan`);
  }
}

function givenSubnet(asked: Partial<Addressing>, taken: readonly Range[]): Subnet {
  const range = parseRange(asked.subnet ?? '', 'subnet');
  const [least, most] = range.family === 4 ? [8, 30] : [8, 126];
  if (range.prefixLength < least || range.prefixLength > most)
    throw new GantryError(
      'invalid',
      `invalid subnet ${asked.subnet}: the prefix must be from ${least} to ${most} long`,
    );
  const clash = taken.find((other) => overlaps(other, range));
  if (clash !== undefined)
    throw new GantryError(
      'conflict',
      `invalid pool request: Pool overlaps with other one on this address space: ${formatRange(range)} and ${formatRange(clash)}`,
      { code: 'subnet-in-use' },
    );
  return withDetails({ ...range, gateway: range.network + 1n }, asked);
}

/** Gateway, range and auxiliary addresses, each of which must lie in the subnet. */
function withDetails(subnet: Subnet, asked: Partial<Addressing> | undefined): Subnet {
  const inside = (text: string, what: string): bigint => {
    const address = parseAddress(text);
    if (address === undefined) throw new GantryError('invalid', `invalid ${what}: "${text}" is no IP address`);
    if (!contains(subnet, address) || !isHost(subnet, address.value))
      throw new GantryError(
        'invalid',
        `no matching subnet for ${what} ${text}: it is no host of ${formatRange(subnet)}`,
      );
    return address.value;
  };
  const range = asked?.ipRange ? parseRange(asked.ipRange, 'ip range') : undefined;
  if (range !== undefined && (!overlaps(subnet, range) || range.prefixLength < subnet.prefixLength))
    throw new GantryError(
      'invalid',
      `no matching subnet for range ${asked?.ipRange}: it is not in ${formatRange(subnet)}`,
    );
  const auxiliary = Object.entries(asked?.auxiliary ?? {});
  return {
    ...subnet,
    ...(asked?.gateway ? { gateway: inside(asked.gateway, 'gateway') } : {}),
    ...(range === undefined ? {} : { chosenFrom: range }),
    ...(auxiliary.length === 0
      ? {}
      : { auxiliary: new Map(auxiliary.map(([name, text]) => [name, inside(text, `auxiliary address ${name}`)])) }),
  };
}

/** IPv6 networks are /64s of a /48 of the engine's own (RFC 4193). */
function poolsOf({ pools, engineId }: Surroundings, family: 4 | 6): readonly AddressPool[] {
  const given = (pools ?? []).filter(({ base }) => base.family === family);
  if (given.length > 0) return given;
  if (family === 4) return networkPools;
  const bytes = createHash('sha256').update(engineId).digest().subarray(0, 5).toString('hex');
  const base = rangeOf({ family: 6, value: BigInt(`0xfd${bytes}`) << 80n }, 48);
  return [{ base, size: 64 }];
}
