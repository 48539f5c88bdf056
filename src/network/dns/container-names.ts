import { addressBytes, formatAddress, parseAddress } from '../addresses.ts';
import type { NetworkStore } from '../network-store.ts';
import { isBuiltIn } from '../network-store.ts';
import type { Endpoint } from '../networks.ts';
import {
  type Answer,
  nameBytes,
  type Question,
  type Reply,
  recordType,
  responseCode,
  reversedAddress,
} from './dns-message.ts';

/** What is known of names by the networks of a container. */
export interface ContainerNames {
  /** undefined: it is no name of ours, and others may be asked. */
  answer(owner: string, question: Question): Reply | undefined;
  /** Whether anything of this container's may leave the host: internal networks alone have no way out (CVE-2024-29018). */
  mayAskOthers(owner: string): boolean;
}

/** Kept by nobody for long: a container may come back with another address. */
const TTL = 5;

export function createContainerNames(
  store: Pick<NetworkStore, 'endpoints' | 'endpointsOf' | 'networks'>,
): ContainerNames {
  /** The endpoints in networks of the owner's that resolve names, with the owner's own in each. */
  function neighbours(owner: string): readonly (readonly [own: Endpoint, other: Endpoint])[] {
    const builtIn = new Set(
      store
        .networks()
        .filter(isBuiltIn)
        .map(({ id }) => id),
    );
    const own = new Map(
      store
        .endpointsOf(owner)
        .filter(({ networkId }) => !builtIn.has(networkId))
        .map((endpoint) => [endpoint.networkId, endpoint]),
    );
    return store.endpoints().flatMap((other) => {
      const mine = own.get(other.networkId);
      return mine === undefined ? [] : [[mine, other] as const];
    });
  }

  const calls = ({ names, networkName }: Endpoint, asked: string): boolean =>
    names.some((name) => {
      const known = name.toLowerCase();
      return asked === known || asked === `${known}.${networkName.toLowerCase()}`;
    });
  const linked = ({ links }: Endpoint, asked: string, other: Endpoint): boolean =>
    links.some((link) => {
      const [target = '', alias = target] = link.split(':');
      return alias.toLowerCase() === asked && (calls(other, target.toLowerCase()) || other.owner.startsWith(target));
    });

  function addresses(found: readonly Endpoint[], type: number): readonly Answer[] {
    const texts = found.flatMap(({ address, address6 }) =>
      type === recordType.a ? (address === '' ? [] : [address]) : type === recordType.aaaa ? (address6 ?? []) : [],
    );
    // Several of one name take turns.
    const start = Math.floor(Math.random() * texts.length);
    return [...texts.slice(start), ...texts.slice(0, start)].map((text) => ({ type, data: addressBytes(text) }));
  }

  function reverse(owner: string, text: string): Reply | undefined {
    const parsed = parseAddress(text);
    if (parsed === undefined) return undefined;
    const wanted = formatAddress(parsed);
    const found = neighbours(owner).find(([, other]) => other.address === wanted || other.address6 === wanted)?.[1];
    if (found === undefined) return undefined;
    const data = nameBytes(`${found.ownerName}.${found.networkName}`);
    return { code: responseCode.ok, ttl: TTL, answers: [{ type: recordType.ptr, data }] };
  }

  return {
    answer(owner, { name, type, class: number }) {
      if (number !== 1) return undefined;
      const reversed = reversedAddress(name);
      if (reversed !== undefined) return type === recordType.ptr ? reverse(owner, reversed) : undefined;
      const all = neighbours(owner);
      const links = all.filter(([own, other]) => linked(own, name, other));
      const found = (links.length > 0 ? links : all.filter(([, other]) => calls(other, name))).map(
        ([, other]) => other,
      );
      if (found.length === 0) return undefined;
      return { code: responseCode.ok, ttl: TTL, answers: addresses(found, type) };
    },
    mayAskOthers(owner) {
      const internal = new Set(
        store
          .networks()
          .filter((network) => network.internal)
          .map(({ id }) => id),
      );
      return store.endpointsOf(owner).some(({ networkId }) => !internal.has(networkId));
    },
  };
}
