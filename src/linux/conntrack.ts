import { SyscallError } from './kernel.ts';
import { type NetlinkMessage, type NetlinkSocket, nested, netlinkFlags as nlm, readAttributes } from './netlink.ts';

/** Connection tracking by its netlink messages (include/uapi/linux/netfilter/nfnetlink_conntrack.h). */
const SUBSYSTEM = 1 << 8;
const command = { get: 1, delete: 2 } as const;
const AF_INET = 2;
const AF_INET6 = 10;
const CTA_TUPLE_ORIG = 1;
const tuple = { ip: 1, protocol: 2, destination: 2, destination6: 4, number: 1, destinationPort: 3 } as const;
const UDP = 17;

const message = (family: number, type: number, flags: number, ...attributes: readonly Buffer[]): NetlinkMessage => ({
  type: SUBSYSTEM | type,
  flags: nlm.request | flags,
  body: Buffer.concat([Buffer.from([family, 0, 0, 0]), ...attributes]),
});

/** A destination as a client sees it; without an address, every one of its family. */
export interface UdpDestination {
  readonly family: 4 | 6;
  readonly address: Uint8Array | undefined;
  readonly port: number;
}

/**
 * Forgets the UDP flows to some destinations. A flow is translated as its first packet was for as long as packets keep
 * coming, so one that began before a port was published, or goes to who had it before, would never change by itself.
 * @throws SyscallError
 */
export function forgetUdpFlows(socket: NetlinkSocket, destinations: readonly UdpDestination[]): void {
  for (const [family, of] of Map.groupBy(destinations, (destination) => destination.family))
    forgetFlowsOf(socket, family === 6 ? AF_INET6 : AF_INET, of);
}

function forgetFlowsOf(socket: NetlinkSocket, family: number, destinations: readonly UdpDestination[]): void {
  const flows = socket.request([message(family, command.get, nlm.dump)], 'listing tracked connections');
  const stale = flows
    .map(({ body }) => readAttributes(body.subarray(4)).get(CTA_TUPLE_ORIG))
    .filter((original) => original !== undefined)
    .filter((original) => destinations.some((destination) => leadsTo(original, destination)));
  for (const original of stale)
    try {
      const change = message(family, command.delete, nlm.ack, nested(CTA_TUPLE_ORIG, original));
      socket.request([change], 'forgetting a UDP flow');
    } catch (error) {
      if (!(error instanceof SyscallError) || error.code !== 'ENOENT') throw error; // it ended meanwhile
    }
}

function leadsTo(original: Buffer, { family, address, port }: UdpDestination): boolean {
  const parts = readAttributes(original);
  const protocol = readAttributes(parts.get(tuple.protocol) ?? Buffer.alloc(0));
  if (protocol.get(tuple.number)?.[0] !== UDP) return false;
  if (protocol.get(tuple.destinationPort)?.readUInt16BE(0) !== port) return false;
  const addresses = readAttributes(parts.get(tuple.ip) ?? Buffer.alloc(0));
  const destination = addresses.get(family === 6 ? tuple.destination6 : tuple.destination);
  return address === undefined || destination?.equals(address) === true;
}
