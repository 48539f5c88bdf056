import { type Element, fieldBytes, type KeyType, keyBytes, type NftSet, type Table } from '#linux/index.ts';
import { addressBytes, parseAddress } from './addresses.ts';
import type { Endpoint } from './networks.ts';

/** A network as the firewall sees it. */
export interface FirewalledNetwork {
  readonly id: string;
  readonly bridge: string;
  readonly internal: boolean;
  /** Its containers reach each other. */
  readonly icc: boolean;
  /** Its containers go out in the host's name. */
  readonly masquerade: boolean;
}

export interface FirewallNames {
  /** The default bridge's link; the tables are named for it. */
  readonly bridge: string;
  /** What the names of its containers' links on the host begin with, and of no others. */
  readonly linkPrefix: string;
  linkOf(endpoint: Pick<Endpoint, 'id'>): string;
}

interface Placed {
  readonly set: NftSet;
  readonly element: Element;
}

/** The sets that everything which comes and goes is an element of, and the elements of a network and of an endpoint. */
export function createFirewallSets({ bridge, linkPrefix: _prefix, linkOf }: FirewallNames) {
  const table: Table = { family: 'inet', name: `gantry-${bridge}` };
  const ports: Table = { family: 'bridge', name: `gantry-${bridge}` };
  const inTable = (name: string, key: readonly KeyType[], data?: readonly KeyType[]): NftSet => ({
    table,
    name,
    key,
    ...(data === undefined ? {} : { data }),
  });
  const sets = {
    /** Our bridges; those without a way out, those with one; from one to itself, where containers may talk. */
    bridges: inTable('bridges', ['link']),
    internal: inTable('internal', ['link']),
    outward: inTable('outward', ['link']),
    together: inTable('together', ['link', 'link']),
    /** Who goes out in the host's name; who lives behind which bridge. The link a packet came by is not known that late. */
    masqueraded: inTable('masqueraded', ['address']),
    masqueraded6: inTable('masqueraded6', ['address6']),
    homes: inTable('homes', ['address', 'link']),
    homes6: inTable('homes6', ['address6', 'link']),
    /** Ports published on every address, and those on one. */
    anywhere: inTable('anywhere', ['protocol', 'port'], ['address', 'port']),
    onAddress: inTable('on_address', ['address', 'protocol', 'port'], ['address', 'port']),
    anywhere6: inTable('anywhere6', ['protocol', 'port'], ['address6', 'port']),
    onAddress6: inTable('on_address6', ['address6', 'protocol', 'port'], ['address6', 'port']),
    /** Who may say what behind which link. */
    sources: { table: ports, name: 'sources', key: ['link', 'mac', 'address'] },
    sources6: { table: ports, name: 'sources6', key: ['link', 'mac', 'address6'] },
  } as const satisfies Readonly<Record<string, NftSet>>;
  const place = (set: NftSet, key: readonly Uint8Array[], data?: readonly Uint8Array[]): Placed => ({
    set,
    element: {
      key: keyBytes(set.key, key),
      ...(data === undefined ? {} : { data: keyBytes(set.data ?? [], data) }),
    },
  });

  function ofNetwork({ bridge: name, internal, icc }: FirewalledNetwork): readonly Placed[] {
    const link = fieldBytes.link(name);
    return [
      place(sets.bridges, [link]),
      ...(icc ? [place(sets.together, [link, link])] : []),
      place(internal ? sets.internal : sets.outward, [link]),
    ];
  }

  function ofEndpoint(
    endpoint: Endpoint,
    { bridge: home, masquerade, internal }: FirewalledNetwork,
  ): readonly Placed[] {
    const who = [fieldBytes.link(linkOf(endpoint)), fieldBytes.mac(endpoint.mac)];
    const { address6 } = endpoint;
    const own = [endpoint.address, address6 ?? ''].filter((text) => text !== '').map(addressBytes);
    return [
      ...own.flatMap((address) => {
        const six = address.length === 16;
        return [
          place(six ? sets.homes6 : sets.homes, [address, fieldBytes.link(home)]),
          ...(masquerade && !internal ? [place(six ? sets.masqueraded6 : sets.masqueraded, [address])] : []),
        ];
      }),
      ...(endpoint.address === '' ? [] : [place(sets.sources, [...who, addressBytes(endpoint.address)])]),
      ...(address6 === undefined
        ? []
        : [address6, linkLocalOf(endpoint.mac)].map((address) =>
            place(sets.sources6, [...who, addressBytes(address)]),
          )),
      ...endpoint.ports.map((port) => {
        const six = parseAddress(port.hostAddress)?.family === 6;
        const everywhere = port.hostAddress === '0.0.0.0' || port.hostAddress === '::';
        const set = six ? (everywhere ? sets.anywhere6 : sets.onAddress6) : everywhere ? sets.anywhere : sets.onAddress;
        const what = [fieldBytes.protocol(port.protocol), fieldBytes.port(port.hostPort)];
        return place(set, everywhere ? what : [addressBytes(port.hostAddress), ...what], [
          addressBytes((six ? address6 : undefined) ?? endpoint.address),
          fieldBytes.port(port.containerPort),
        ]);
      }),
    ];
  }

  return { table, ports, sets, ofNetwork, ofEndpoint };
}

export type FirewallSets = ReturnType<typeof createFirewallSets>;

/** The address that the kernel gives a link by itself, of its MAC (RFC 4291, appendix A). */
export function linkLocalOf(mac: string): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac.split(':').map((part) => Number.parseInt(part, 16));
  const word = (high: number, low: number) => ((high << 8) | low).toString(16);
  return `fe80::${word(a ^ 2, b)}:${word(c, 0xff)}:${word(0xfe, d)}:${word(e, f)}`;
}
