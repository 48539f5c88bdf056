import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { GantryError, isGantryError } from '#errors/index.ts';
import { connectDatagram, type DatagramSocket } from '#linux/index.ts';
import type { Container, Logging } from '../engine.ts';
import type { LogSink } from './log-sink.ts';
import { expandTag } from './log-tag.ts';
import { type SyslogSource, syslogMessage } from './syslog-message.ts';
import { type SyslogAddress, syslogAddress, syslogFacility, syslogFormat, syslogTls } from './syslog-options.ts';

/** Where a host's own syslog daemon listens. */
const localPaths = ['/dev/log', '/var/run/syslog', '/var/run/log'];
/** How long a full queue of the receiver is waited for between tries, in milliseconds. */
const fullMs = 20;

/** What was written to a stream this shortly before it broke may not have arrived: it is sent again, so nothing is missing, and some may come twice. */
const recentMs = 1_000;
const mostRecent = 256;

/** A connection, made when it is first needed. */
interface Line extends Disposable {
  /** A stream: written is not yet received. */
  readonly buffers: boolean;
  write(message: Buffer, signal: AbortSignal): Promise<void>;
}

/** Sends lines to a syslog daemon. `eager`: one of this host must be there now. @throws GantryError unavailable */
export function createSyslogSink(
  container: Container,
  logging: Logging,
  { eager }: { readonly eager: boolean },
): LogSink {
  const { options } = logging;
  const address = syslogAddress(options['syslog-address']);
  const source: SyslogSource = {
    facility: syslogFacility(options['syslog-facility']),
    format: syslogFormat(options['syslog-format']),
    tag: expandTag(options.tag || '{{.ID}}', container),
    hostname: hostname(),
    pid: process.pid,
    local: address.kind === 'local' || address.kind === 'unix' || address.kind === 'unixgram',
  };
  let line: Line | undefined = eager && source.local ? openLocal(address) : undefined;
  let recent: { readonly at: number; readonly message: Buffer }[] = [];
  return {
    async send(record, signal) {
      const again = line === undefined ? recent : [];
      line ??= await openLine(address, options, signal);
      const message = syslogMessage(record, source);
      try {
        for (const one of again) await line.write(one.message, signal);
        await line.write(message, signal);
        if (line.buffers)
          recent = [...recent.filter(({ at }) => at > Date.now() - recentMs), { at: Date.now(), message }].slice(
            -mostRecent,
          );
      } catch (error) {
        line[Symbol.dispose]();
        line = undefined;
        throw error;
      }
    },
    async [Symbol.asyncDispose]() {
      line?.[Symbol.dispose]();
    },
  };
}

async function openLine(address: SyslogAddress, options: Logging['options'], signal: AbortSignal): Promise<Line> {
  switch (address.kind) {
    case 'local':
    case 'unix':
    case 'unixgram':
      return openLocal(address);
    case 'udp':
      return openUdp(address);
    case 'tcp':
      return openStream(connect(address), 'connect', newline, signal);
    case 'tcp+tls':
      // RFC 5425, section 4.3: each message by its length.
      return openStream(
        connectTls({ ...address, servername: address.host, ...syslogTls(options) }),
        'secureConnect',
        (message) => Buffer.concat([Buffer.from(`${message.length} `), message]),
        signal,
      );
  }
}

const newline = (message: Buffer) => Buffer.concat([message, Buffer.from('\n')]);

function openLocal(address: SyslogAddress): Line {
  const paths = 'path' in address ? [address.path] : localPaths;
  let last: unknown;
  for (const path of paths)
    try {
      return datagrams(connectDatagram(path));
    } catch (error) {
      if (isGantryError(error) && error.code === 'EPROTOTYPE') return lazyStream(path);
      last = error;
    }
  throw new GantryError(
    'unavailable',
    `failed to initialize logging driver: no syslog daemon listens at ${paths.join(', ')}`,
    {
      cause: last,
    },
  );
}

const datagrams = (socket: DatagramSocket): Line => ({
  buffers: false,
  async write(message, signal) {
    while (!socket.send(message)) await wait(fullMs, undefined, { signal });
  },
  [Symbol.dispose]: () => socket[Symbol.dispose](),
});

/** A stream that is connected with the first message. */
function lazyStream(path: string): Line {
  let line: Promise<Line> | undefined;
  return {
    buffers: true,
    async write(message, signal) {
      line ??= openStream(connect({ path }), 'connect', newline, signal);
      await (await line).write(message, signal);
    },
    [Symbol.dispose]() {
      line?.then((one) => one[Symbol.dispose]()).catch(() => undefined); // it never came to be
    },
  };
}

async function openStream(
  socket: Socket,
  ready: 'connect' | 'secureConnect',
  framed: (message: Buffer) => Buffer,
  signal: AbortSignal,
): Promise<Line> {
  try {
    await once(socket, ready, { signal });
  } catch (error) {
    socket.destroy();
    throw error;
  }
  let failure: unknown;
  socket.on('error', (error) => {
    failure = error;
  });
  socket.on('close', () => {
    failure ??= new GantryError('unavailable', 'the syslog daemon closed the connection');
  });
  socket.resume();
  return {
    buffers: true,
    async write(message) {
      if (failure !== undefined) throw failure;
      const written = Promise.withResolvers<void>();
      socket.write(framed(message), (error) => (error ? written.reject(error) : written.resolve()));
      await written.promise;
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

async function openUdp({ host, port }: { readonly host: string; readonly port: number }): Promise<Line> {
  const socket: UdpSocket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.unref();
  socket.on('error', () => undefined); // told by the send that failed
  return {
    buffers: false,
    async write(message) {
      const sent = Promise.withResolvers<void>();
      socket.send(message, port, host, (error) => (error ? sent.reject(error) : sent.resolve()));
      await sent.promise;
    },
    [Symbol.dispose]: () => void socket.close(),
  };
}
