import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { check, commit, kernel, match, nft, openNetlink, statement, type Table } from '#linux/index.ts';
import { addressBytes } from '../addresses.ts';
import { openNamespaceOf } from '../container-namespace.ts';
import { readFrames, writeFrame } from './tcp-frames.ts';

/** Where containers find the resolver. */
export const resolverAddress = '127.0.0.11';
const PORT = 53;
const AF_INET = 2;
const SOCK_CLOEXEC = 0o2000000;
const types = { tcp: 1, udp: 2 } as const;
const numbers = { tcp: 6, udp: 17 } as const;
const table: Table = { family: 'ip', name: 'gantry-names' };
const MOST_CONNECTIONS = 32;
const IDLE_MS = 10_000;

/** Answers one query; undefined for what deserves no answer. */
export type AnswerQuery = (query: Buffer, transport: 'udp' | 'tcp') => Promise<Buffer | undefined>;

/**
 * Opens the resolver's sockets in the network namespace of a process. They have ports of their own, and two rules in that
 * namespace put 53 in their place on the way: a container's own name server finds port 53 free. The rules keep no state, so
 * that the container's packets are not tracked for their sake.
 */
export async function openResolverSockets(
  pid: number,
  answer: AnswerQuery,
  onError: (error: unknown) => void,
): Promise<Disposable> {
  using namespace = openNamespaceOf(pid);
  using undo = new DisposableStack();
  const udp = boundSocket(namespace.fd, 'udp');
  const datagrams = createSocket('udp4');
  undo.defer(() => datagrams.close());
  const ready = once(datagrams, 'listening'); // it is told while `bind` runs
  datagrams.bind({ fd: udp.fd });
  await ready;
  serveDatagrams(datagrams, answer, onError);
  const tcp = boundSocket(namespace.fd, 'tcp');
  check(kernel.call('listen', tcp.fd, MOST_CONNECTIONS), 'listen', 'the resolver');
  const connections = new Set<Socket>();
  const server = createServer((client) => {
    connections.add(client.once('close', () => connections.delete(client)));
    serveConnection(client, answer).catch(onError);
  });
  undo.defer(() => {
    server.close();
    for (const client of connections) client.destroy();
  });
  listen(server, tcp.fd);
  await once(server, 'listening');
  using netfilter = openNetlink(kernel, 'netfilter', namespace.fd);
  commit(
    netfilter,
    [
      nft.addTable(table),
      nft.deleteTable(table),
      nft.addTable(table),
      nft.addChain(table, { name: 'output', type: 'filter', hook: 'output', priority: -400 }),
      ...redirect('udp', udp.port),
      ...redirect('tcp', tcp.port),
    ],
    `the resolver of process ${pid}`,
  );
  return undo.move();
}

function listen(server: Server, fd: number): void {
  server.maxConnections = MOST_CONNECTIONS;
  server.listen({ fd });
}

function boundSocket(namespace: number, protocol: 'tcp' | 'udp'): { readonly fd: number; readonly port: number } {
  const about = 'the resolver';
  const fd = check(
    kernel.callInNamespace(namespace, 'socket', AF_INET, types[protocol] | SOCK_CLOEXEC, 0),
    'socket',
    about,
  );
  const name = Buffer.alloc(16);
  name.writeUInt16LE(AF_INET, 0);
  name.set(addressBytes(resolverAddress), 4);
  try {
    check(kernel.call('bind', fd, name, name.length), 'bind', about);
    check(kernel.call('getsockname', fd, name, Buffer.from([16, 0, 0, 0])), 'getsockname', about);
  } catch (error) {
    kernel.call('close', fd);
    throw error;
  }
  return { fd, port: name.readUInt16BE(2) };
}

function redirect(protocol: 'tcp' | 'udp', port: number) {
  const [resolver, whole] = [addressBytes(resolverAddress), addressBytes('255.255.255.255')];
  return [
    nft.addRule(
      table,
      'output',
      ...match.ip('daddr', 'eq', resolver, whole),
      ...match.protocol(numbers[protocol]),
      ...match.port('dport', PORT),
      ...statement.setPort('dport', port),
    ),
    nft.addRule(
      table,
      'output',
      ...match.ip('saddr', 'eq', resolver, whole),
      ...match.protocol(numbers[protocol]),
      ...match.port('sport', port),
      ...statement.setPort('sport', PORT),
    ),
  ];
}

function serveDatagrams(socket: UdpSocket, answer: AnswerQuery, onError: (error: unknown) => void): void {
  socket.on('error', onError);
  socket.on('message', (query, from) => {
    answer(query, 'udp')
      .then((reply) => {
        // Who asked may be gone, and the namespace with it.
        if (reply !== undefined) socket.send(reply, from.port, from.address, () => undefined);
      })
      .catch(onError);
  });
}

async function serveConnection(client: Socket, answer: AnswerQuery): Promise<void> {
  client.on('error', () => client.destroy()).setTimeout(IDLE_MS, () => client.destroy());
  try {
    for await (const query of readFrames(client)) {
      const reply = await answer(query, 'tcp');
      if (reply === undefined || client.destroyed) break;
      writeFrame(client, reply);
    }
  } catch {
    // The client broke off: nobody is left to be told.
  }
  client.destroy();
}
