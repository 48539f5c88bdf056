import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, chown, rm } from 'node:fs/promises';
import type { Server as HttpServer } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { GantryError, messageOf } from '#errors/index.ts';
import { isLocal, type ListenAddress } from './listen-address.ts';

/** PEM files of a TCP socket: who the engine is, and who signs those that may call it. */
export interface ListenTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface ListenOptions {
  /** Of TCP sockets; without it they are open to everybody who reaches them. */
  readonly tls: ListenTls | undefined;
  /** Who may use unix sockets besides root; absent: `docker`, else `gantry`, where the host has such a group. */
  readonly group: string | undefined;
}

export interface Listeners extends AsyncDisposable {
  /** As they are to be written, with the ports they have. */
  readonly hosts: readonly string[];
}

/** A socket that answers belongs to a daemon that is alive. @throws GantryError conflict */
export async function refuseSecondDaemon(path: string): Promise<void> {
  const answered = await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
  if (answered)
    throw new GantryError(
      'conflict',
      `another daemon answers on ${path}; stop it, or give --host, --data-root, --exec-root and --bridge of its own`,
    );
}

/** A group's number, from group(5). */
function groupId(name: string): number | undefined {
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`${name}:`));
  return line === undefined ? undefined : Number(line.split(':')[2]);
}

/** @throws GantryError invalid for a group that was asked for and is not there */
function socketGroup(asked: string | undefined): number | undefined {
  if (asked === undefined) return groupId('docker') ?? groupId('gantry');
  const id = /^\d+$/.test(asked) ? Number(asked) : groupId(asked);
  if (id === undefined) throw new GantryError('invalid', `--group "${asked}": there is no such group; add it first`);
  return id;
}

/** What plain TCP means, in words for the log and for `info`. */
export const plainWarning = (host: string, port: number): string =>
  `API is accessible on http://${host}:${port} without encryption. Access to the remote API is equivalent to root access on the host: use --tlsverify`;

/** Warnings of what these addresses open. */
export const listenWarnings = (addresses: readonly ListenAddress[], tls: ListenTls | undefined): readonly string[] =>
  addresses.flatMap((address) =>
    address.kind === 'tcp' && tls === undefined
      ? [`${plainWarning(address.host, address.port)}${isLocal(address.host) ? ', or a unix socket' : ''}`]
      : [],
  );

/**
 * Opens every address and hands what connects to `http`, which listens nowhere itself. A unix socket is root's and its group's
 * (0660) from its first moment; a TCP socket asks for a certificate that `tls.ca` signed.
 * @throws GantryError invalid (files, group), conflict (in use)
 */
export async function openListeners(
  http: HttpServer,
  addresses: readonly ListenAddress[],
  options: ListenOptions,
): Promise<Listeners> {
  const sockets = new Set<Socket>();
  const servers: Server[] = [];
  const hosts: string[] = [];
  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  const accept = (socket: Socket) => {
    track(socket);
    http.emit('connection', socket);
  };
  const plain = () => createServer({ allowHalfOpen: true, noDelay: true }, accept);
  const listen = async (server: Server, begin: () => void, what: string) => {
    servers.push(server);
    try {
      const listening = once(server, 'listening');
      begin();
      await listening;
    } catch (error) {
      throw new GantryError('conflict', `cannot listen on ${what}: ${messageOf(error)}`, { cause: error });
    }
  };
  const close = async () => {
    const closed = servers.filter(({ listening }) => listening).map((server) => once(server, 'close'));
    for (const server of servers) server.close();
    for (const socket of sockets) socket.destroy();
    await Promise.all(closed);
  };

  const openUnix = async (path: string) => {
    const group = socketGroup(options.group);
    await rm(path, { force: true });
    const server = plain();
    // The socket is made while this call lasts, and is never open to others.
    const begin = () => {
      const before = process.umask(0o177);
      try {
        server.listen({ path });
      } finally {
        process.umask(before);
      }
    };
    await listen(server, begin, path);
    if (group !== undefined) await chown(path, 0, group);
    await chmod(path, 0o660);
    hosts.push(`unix://${path}`);
  };
  const openTcp = async (host: string, port: number) => {
    const server = options.tls === undefined ? plain() : tlsServer(options.tls, track, accept);
    await listen(server, () => server.listen({ host, port }), `tcp://${host}:${port}`);
    const address = server.address();
    const shown = host.includes(':') ? `[${host}]` : host;
    hosts.push(`tcp://${shown}:${typeof address === 'object' && address !== null ? address.port : port}`);
  };
  try {
    for (const address of addresses)
      switch (address.kind) {
        case 'unix':
          await openUnix(address.path);
          break;
        case 'tcp':
          await openTcp(address.host, address.port);
          break;
        case 'systemd':
          for (const fd of systemdSockets()) {
            const server = plain();
            await listen(server, () => server.listen({ fd }), `descriptor ${fd}`);
            hosts.push(`fd://${fd}`);
          }
          break;
      }
  } catch (error) {
    await close();
    throw error;
  }
  return { hosts, [Symbol.asyncDispose]: close };
}

/** The descriptors that systemd passed on (sd_listen_fds(3)). @throws GantryError invalid where there are none */
function systemdSockets(): readonly number[] {
  const { LISTEN_FDS: count = '', LISTEN_PID: pid } = process.env;
  if (!/^[1-9]\d*$/.test(count) || (pid !== undefined && Number(pid) !== process.pid))
    throw new GantryError(
      'invalid',
      '--host fd:// needs sockets of systemd; start the engine by its gantry.socket unit',
    );
  return Array.from({ length: Number(count) }, (_, index) => 3 + index);
}

const handshakeMs = 15_000;
const peerOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;

function tlsServer(
  { ca, cert, key }: ListenTls,
  track: (socket: Socket) => void,
  accept: (socket: Socket) => void,
): Server {
  const read = (flag: string, path: string) => {
    try {
      return readFileSync(path);
    } catch (error) {
      throw new GantryError('invalid', `--${flag} "${path}" cannot be read: ${messageOf(error)}`, { cause: error });
    }
  };
  try {
    const server = createTlsServer(
      {
        ca: read('tlscacert', ca),
        cert: read('tlscert', cert),
        key: read('tlskey', key),
        requestCert: true,
        rejectUnauthorized: true,
        minVersion: 'TLSv1.2',
        allowHalfOpen: true,
        noDelay: true,
        ALPNProtocols: ['http/1.1'],
      },
      (socket) => {
        clearTimeout(handshakes.get(peerOf(socket)));
        handshakes.delete(peerOf(socket));
        accept(socket);
      },
    );
    // Half-open as they may be, the sockets below TLS do not end by themselves when a handshake fails.
    const handshakes = new Map<string, NodeJS.Timeout>();
    server.on('connection', (socket: Socket) => {
      track(socket);
      const peer = peerOf(socket);
      handshakes.set(
        peer,
        setTimeout(() => socket.destroy(), handshakeMs),
      );
      socket.once('close', () => {
        clearTimeout(handshakes.get(peer));
        handshakes.delete(peer);
      });
    });
    // A handshake that fails is the caller's to know of: it is told in TLS's own alert.
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    return server;
  } catch (error) {
    if (error instanceof GantryError) throw error;
    throw new GantryError('invalid', `the TLS files cannot be used: ${messageOf(error)}`, { cause: error });
  }
}
