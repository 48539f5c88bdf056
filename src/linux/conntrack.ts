import { SyscallError } from './kernel.ts';
import { type NetlinkMessage, type NetlinkSocket, nested, netlinkFlags as nlm, readAttributes } from './netlink.ts';

/** Connection tracking by its netlink messages (include/uapi/linux/netfilter/nfnetlink_conntrack.h), IPv4. */
const SUBSYSTEM = 1 << 8;
const command = { get: 1, delete: 2 } as const;
const AF_INET = 2;
const CTA_TUPLE_ORIG = 1;
const tuple = { ip: 1, protocol: 2, destination: 2, number: 1, destinationPort: 3 } as const;
const UDP = 17;

const message = (type: number, flags: number, ...attributes: readonly Buffer[]): NetlinkMessage => ({
  type: SUBSYSTEM | type,
  flags: nlm.request | flags,
  body: Buffer.concat([Buffer.from([AF_INET, 0, 0, 0]), ...attributes]),
});

/** A destination as a client sees it; without an address, every one. */
export interface UdpDestination {
  readonly address: Uint8Array | undefined;
  readonly port: number;
}

/**
 * Forgets the UDP flows to some destinations. A flow is translated as its first packet was for as long as packets keep
 * coming, so one that began before a port was published, or goes to who had it before, would never change by itself.
 * @throws SyscallError
 */
export function forgetUdpFlows(socket: NetlinkSocket, destinations: readonly UdpDestination[]): void {
  if (destinations.length === 0) return;
  const flows = socket.request([message(command.get, nlm.dump)], 'listing tracked connections');
  const stale = flows
    .map(({ body }) => readAttributes(body.subarray(4)).get(CTA_TUPLE_ORIG))
    .filter((original) => original !== undefined)
    .filter((original) => destinations.some((destination) => leadsTo(original, destination)));
  for (const original of stale)
    try {
      socket.request([message(command.delete, nlm.ack, nested(CTA_TUPLE_ORIG, original))], 'forgetting a UDP flow');
    } catch (error) {
      if (!(error instanceof SyscallError) || error.code !== 'ENOENT') throw error; // it ended meanwhile
    }
}

function leadsTo(original: Buffer, { address, port }: UdpDestination): boolean {
  const parts = readAttributes(original);
  const protocol = readAttributes(parts.get(tuple.protocol) ?? Buffer.alloc(0));
  if (protocol.get(tuple.number)?.[0] !== UDP) return false;
  if (protocol.get(tuple.destinationPort)?.readUInt16BE(0) !== port) return false;
  const destination = readAttributes(parts.get(tuple.ip) ?? Buffer.alloc(0)).get(tuple.destination);
  return address === undefined || destination?.equals(address) === true;
}
