import { getSystemErrorName } from 'node:util';
import { GantryError } from '#errors/index.ts';
import { check, kernel, protocolNumbers, SyscallError } from '#linux/index.ts';
import { addressBytes, formatAddress, parseAddress } from './addresses.ts';
import type { Endpoint, PortRequest, PublishedPort } from './networks.ts';
import { portHolder } from './port-holder.ts';

/**
 * Ports of the host. A published port is kept by a socket that is bound and does not listen: no program of the host can
 * listen there, whose packets we would take away, and until the container is connected a client is refused, not left waiting.
 * The sockets end with the engine; the one that comes next binds them again.
 */
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_CLOEXEC = 0o2000000;
/** Type and protocol. */
const sockets = { tcp: [1, 0], udp: [2, 0], sctp: [1, protocolNumbers.sctp] } as const;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
/** The ports a kernel takes for itself by default (ip_local_port_range). */
const ephemeral = { first: 32768, count: 28232 } as const;

/**
 * The fd that keeps a port; none where the kernel has no sockets of that protocol (sctp), whose programs then have none either.
 * @throws SyscallError EADDRINUSE where somebody else has it, EADDRNOTAVAIL, EACCES
 */
export function bindPort(port: PublishedPort): readonly HeldPort[] {
  const { protocol, hostAddress, hostPort } = port;
  const about = `${hostAddress}:${hostPort}/${protocol}`;
  const [type, number] = sockets[protocol];
  const address = addressBytes(hostAddress);
  const six = address.length === 16;
  const made = kernel.call('socket', six ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, number);
  if (protocol === 'sctp' && made < 0) return [];
  const fd = check(made, 'socket', about);
  try {
    const set = (level: number, option: number, on: boolean) => {
      const value = Buffer.from([on ? 1 : 0, 0, 0, 0]);
      check(kernel.call('setsockopt', fd, level, option, value, value.length), 'setsockopt', about);
    };
    if (six) set(IPPROTO_IPV6, IPV6_V6ONLY, true);
    // Connections that a former server left behind (TIME_WAIT) are no one's; what comes after us is kept out.
    if (protocol === 'tcp') set(SOL_SOCKET, SO_REUSEADDR, true);
    const name = Buffer.alloc(six ? 28 : 16);
    name.writeUInt16LE(six ? AF_INET6 : AF_INET, 0);
    name.writeUInt16BE(hostPort, 2);
    name.set(address, six ? 8 : 4);
    check(kernel.call('bind', fd, name, name.length), 'bind', about);
    if (protocol === 'tcp') set(SOL_SOCKET, SO_REUSEADDR, false);
    return [{ port, fd }];
  } catch (error) {
    kernel.call('close', fd);
    throw error;
  }
}

export interface BoundPorts {
  readonly ports: readonly PublishedPort[];
  readonly held: readonly HeldPort[];
}

/** A port and the socket that keeps it. */
export interface HeldPort {
  readonly port: PublishedPort;
  readonly fd: number;
}

/**
 * Binds all requested ports or none; ephemeral ones are chosen at random. `others` hold ports already.
 * @throws GantryError conflict code `port-in-use`, invalid, exhausted
 */
export async function bindPorts(requests: readonly PortRequest[], others: readonly Endpoint[]): Promise<BoundPorts> {
  const ports: PublishedPort[] = [];
  const held: HeldPort[] = [];
  const heldByOthers = byNumber(others.flatMap((other) => other.ports.map((port) => ({ port, other }))));
  const holderOf = (port: PublishedPort) =>
    heldByOthers.get(numberOf(port))?.find((one) => collide(one.port, port))?.other;
  const numbers = new Map<string, PublishedPort[]>();
  const isOwn = (port: PublishedPort) => numbers.get(numberOf(port))?.some((own) => collide(own, port)) === true;
  // Nothing is awaited before all are bound or none is: two requests at once cannot see half of each other.
  const bind = (port: PublishedPort): 'bound' | 'in use' => {
    if (isOwn(port) || holderOf(port) !== undefined) return 'in use';
    try {
      held.push(...bindPort(port));
    } catch (error) {
      if (error instanceof SyscallError && error.code === 'EADDRINUSE') return 'in use';
      throw error instanceof SyscallError ? refused(port, error) : error;
    }
    ports.push(port);
    numbers.set(numberOf(port), [...(numbers.get(numberOf(port)) ?? []), port]);
    return 'bound';
  };
  let inUse: PublishedPort | undefined;
  try {
    for (const request of requests) {
      const port = validPort(request);
      const last = request.lastHostPort ?? port.hostPort;
      if (port.hostPort === 0) bindOneOf(port, ephemeral, Math.floor(Math.random() * ephemeral.count), bind);
      else if (last > port.hostPort)
        bindOneOf(port, { first: port.hostPort, count: last - port.hostPort + 1 }, 0, bind);
      else if (bind(port) === 'in use') {
        inUse = port;
        break;
      }
    }
  } catch (error) {
    closePorts(held);
    throw error;
  }
  if (inUse === undefined) return { ports, held };
  closePorts(held);
  throw portInUse(inUse, isOwn(inUse) ? 'this container asks for it twice' : await whoHas(inUse, holderOf(inUse)));
}

export function closePorts(held: readonly HeldPort[]): void {
  for (const { fd } of held) kernel.call('close', fd);
}

/** Binds the first free port of some, beginning at the `start`th. @throws GantryError exhausted code `no-port` */
function bindOneOf(
  port: PublishedPort,
  { first, count }: { readonly first: number; readonly count: number },
  start: number,
  bind: (port: PublishedPort) => 'bound' | 'in use',
): void {
  for (let step = 0; step < count; step++)
    if (bind({ ...port, hostPort: first + ((start + step) % count) }) === 'bound') return;
  throw new GantryError('exhausted', `no port of ${first}-${first + count - 1} is free`, { code: 'no-port' });
}

/** Only ports of the same protocol and number can be in each other's way. */
const numberOf = ({ protocol, hostPort }: PublishedPort) => `${protocol}/${hostPort}`;
const byNumber = <T extends { readonly port: PublishedPort }>(held: readonly T[]) =>
  Map.groupBy(held, ({ port }) => numberOf(port));

/** Every address and one address are in each other's way, as for bind(2). */
function collide(a: PublishedPort, b: PublishedPort): boolean {
  if (a.protocol !== b.protocol || a.hostPort !== b.hostPort) return false;
  if (a.hostAddress.includes(':') !== b.hostAddress.includes(':')) return false;
  return a.hostAddress === b.hostAddress || [a, b].some(({ hostAddress }) => /^(?:0\.0\.0\.0|::)$/.test(hostAddress));
}

function validPort({
  protocol,
  containerPort,
  hostAddress,
  hostPort = 0,
  lastHostPort = hostPort,
}: PortRequest): PublishedPort {
  const text = hostAddress === undefined || hostAddress === '' ? '0.0.0.0' : hostAddress.replace(/^\[(.*)\]$/, '$1');
  const address = parseAddress(text);
  if (address === undefined)
    throw new GantryError('invalid', `"${text}" is no IP address to publish on; give one like 127.0.0.1`);
  if (address.family === 6 && address.value === 1n)
    throw new GantryError(
      'unsupported',
      'publishing on the IPv6 address ::1: the kernel leads nothing from there; leave the address out or give another',
    );
  if (!Number.isInteger(containerPort) || containerPort < 1 || containerPort > 65535)
    throw new GantryError('invalid', `container port ${containerPort} is not from 1 to 65535`);
  if (!Number.isInteger(hostPort) || hostPort < 0 || hostPort > 65535)
    throw new GantryError('invalid', `host port ${hostPort} is not from 0 to 65535`);
  if (!Number.isInteger(lastHostPort) || lastHostPort < hostPort || lastHostPort > 65535)
    throw new GantryError('invalid', `the host ports ${hostPort}-${lastHostPort} are no range`);
  return { protocol, containerPort, hostAddress: formatAddress(address), hostPort };
}

function refused({ hostAddress, hostPort }: PublishedPort, cause: SyscallError): GantryError {
  const failed = `Bind for ${hostAddress}:${hostPort} failed`;
  if (cause.code === 'EADDRNOTAVAIL')
    return new GantryError('invalid', `${failed}: this host has no address ${hostAddress}`, { cause });
  return new GantryError(cause.kind, `${failed}: ${getSystemErrorName(-cause.errno)}`, { code: cause.code, cause });
}

const portInUse = ({ hostAddress, hostPort }: PublishedPort, who: string) =>
  new GantryError('conflict', `Bind for ${hostAddress}:${hostPort} failed: port is already allocated: ${who}`, {
    code: 'port-in-use',
  });

async function whoHas(port: PublishedPort, holder: Endpoint | undefined): Promise<string> {
  if (holder !== undefined) return `container "${holder.ownerName}" (${holder.owner.slice(0, 12)}) publishes it`;
  const process = await portHolder(port.protocol, port.hostPort);
  return process === undefined
    ? 'a program of this host has it'
    : `process ${process.command} (pid ${process.pid}) of this host has it`;
}
