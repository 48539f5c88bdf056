import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { kernel, openNetlink, rtnetlink } from '#linux/index.ts';

/** A network namespace with a process in it: a container before its network is connected, or another host. */
export interface Machine extends AsyncDisposable {
  readonly pid: number;
  readonly fd: number;
}

export async function startMachine(): Promise<Machine> {
  const child = spawn('unshare', ['-n', 'sh', '-c', 'echo; exec sleep 120'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const kill = () => void child.kill('SIGKILL');
  process.on('exit', kill);
  await once(child.stdout, 'data');
  const { pid } = child;
  if (pid === undefined) throw new Error('no process');
  const fd = openSync(`/proc/${pid}/ns/net`, 'r');
  return {
    pid,
    fd,
    async [Symbol.asyncDispose]() {
      process.off('exit', kill);
      closeSync(fd);
      const gone = once(child, 'exit');
      kill();
      await gone;
    },
  };
}

/** Runs a command of busybox inside; what is wrong with it is thrown. */
export const inside = ({ pid }: Machine, ...command: readonly string[]): string =>
  execFileSync('nsenter', ['-t', String(pid), '-n', 'busybox', ...command], { encoding: 'utf8' });

export const otherHostAddress = '10.99.0.2';
export const ownAddress = '10.99.0.1';

/** Another host, on a wire to ours; its only route that is not the wire is what a test gives it. */
export async function startOtherHost(mtu = 1400): Promise<Machine> {
  const machine = await startMachine();
  {
    using socket = openNetlink(kernel, 'route');
    socket.request(
      [rtnetlink.createVeth({ name: 'wire', mtu, up: true }, { name: 'wire', mtu }, machine.fd)],
      'a wire',
    );
  }
  execFileSync('busybox', ['ip', 'addr', 'add', `${ownAddress}/24`, 'dev', 'wire']);
  execFileSync('busybox', ['ip', 'route', 'add', 'default', 'via', otherHostAddress]);
  inside(machine, 'ip', 'link', 'set', 'lo', 'up');
  inside(machine, 'ip', 'link', 'set', 'wire', 'up');
  inside(machine, 'ip', 'addr', 'add', `${otherHostAddress}/24`, 'dev', 'wire');
  return machine;
}

const AF_INET = 2;
const SOCK_CLOEXEC = 0o2000000;
const types = { tcp: 1, udp: 2 } as const;

/** The host of the tests is `undefined`. */
function socketIn(machine: Machine | undefined, protocol: 'tcp' | 'udp'): number {
  const args = [AF_INET, types[protocol] | SOCK_CLOEXEC, 0] as const;
  return must(
    machine === undefined ? kernel.call('socket', ...args) : kernel.callInNamespace(machine.fd, 'socket', ...args),
  );
}

function must(result: number): number {
  if (result < 0) throw new Error(getSystemErrorName(result));
  return result;
}

function socketAddress(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address.split('.').map(Number), 4);
  return bytes;
}

const readAddress = (bytes: Buffer) => [...bytes.subarray(4, 8)].join('.');

/** A TCP server that tells each client its name and the address it sees. */
export const serve = (machine: Machine | undefined, port: number, name: string): Promise<AsyncDisposable> =>
  serveBy(machine, port, (client) => void client.end(`${name} sees ${client.remoteAddress}`));

/** A TCP server whose clients are handled by the test; they may end their side first. */
export async function serveBy(
  machine: Machine | undefined,
  port: number,
  handle: (client: Socket) => void,
): Promise<AsyncDisposable> {
  const fd = socketIn(machine, 'tcp');
  const address = socketAddress('0.0.0.0', port);
  must(kernel.call('bind', fd, address, address.length));
  must(kernel.call('listen', fd, 16));
  const server: Server = createServer({ allowHalfOpen: true }, handle);
  server.listen({ fd });
  await once(server, 'listening');
  return server;
}

/** The same for UDP, one answer for each datagram. */
export function serveUdp(machine: Machine, port: number, name: string): Disposable {
  const fd = socketIn(machine, 'udp');
  const own = socketAddress('0.0.0.0', port);
  must(kernel.call('bind', fd, own, own.length));
  waitAtMost(fd, 0, 50_000);
  let open = true;
  void (async () => {
    while (open) {
      const from = Buffer.alloc(16);
      const length = Buffer.from([16, 0, 0, 0]);
      if ((await kernel.callAsync('recvfrom', fd, Buffer.alloc(64), 64, 0, from, length)) < 0) continue;
      const answer = Buffer.from(`${name} sees ${readAddress(from)}`);
      kernel.call('sendto', fd, answer, answer.length, 0, from, from.length);
    }
    kernel.call('close', fd);
  })();
  return {
    [Symbol.dispose]() {
      open = false;
    },
  };
}

const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
const EAGAIN = 11;
const EINPROGRESS = 115;

function waitAtMost(fd: number, seconds: number, microseconds: number): void {
  const time = Buffer.alloc(16);
  time.writeBigInt64LE(BigInt(seconds), 0);
  time.writeBigInt64LE(BigInt(microseconds), 8);
  for (const option of [SO_RCVTIMEO, SO_SNDTIMEO])
    must(kernel.call('setsockopt', fd, SOL_SOCKET, option, time, time.length));
}

/** A client that keeps its source port. */
export interface Client extends Disposable {
  /** What the server says, or the name of the error; `nothing` where nothing comes in time. */
  ask(): Promise<string>;
}

export function client(
  machine: Machine | undefined,
  protocol: 'tcp' | 'udp',
  address: string,
  port: number,
  milliseconds = 2000,
): Client {
  const fd = socketIn(machine, protocol);
  waitAtMost(fd, Math.floor(milliseconds / 1000), (milliseconds % 1000) * 1000);
  const to = socketAddress(address, port);
  let connected = false;
  return {
    async ask() {
      const work = async (): Promise<number | string> => {
        const joined = connected ? 0 : await kernel.callAsync('connect', fd, to, to.length);
        if (joined < 0) return joined;
        connected = true;
        if (protocol === 'udp') {
          const sent = kernel.call('sendto', fd, Buffer.from('?'), 1, 0, null, 0);
          if (sent < 0) return sent;
        }
        const answer = Buffer.alloc(256);
        const length = await kernel.callAsync('recvfrom', fd, answer, answer.length, 0, null, null);
        return length < 0 ? length : answer.toString('utf8', 0, length);
      };
      const result = await work();
      if (typeof result === 'string') return result;
      return result === -EAGAIN || result === -EINPROGRESS ? 'nothing' : getSystemErrorName(result);
    },
    [Symbol.dispose]: () => void kernel.call('close', fd),
  };
}

/** Asks a TCP server once. */
export async function ask(machine: Machine | undefined, address: string, port: number, milliseconds = 2000) {
  using one = client(machine, 'tcp', address, port, milliseconds);
  return await one.ask();
}
