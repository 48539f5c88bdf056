import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** What a refused client may still send, so that it comes to read why, and no more. */
export interface LingerLimits {
  /** In bytes. */
  readonly most: number;
  /** In milliseconds: altogether, and without a byte. */
  readonly longest: number;
  readonly silent: number;
  /** Connections at once; those beyond are ended at once. */
  readonly connections: number;
}

const defaults: LingerLimits = { most: 1 << 30, longest: 60_000, silent: 3000, connections: 256 };

/**
 * Ends the connection of a request that is answered before its body was read, such as a refused upload, in a way that
 * the answer arrives (RFC 9112 §9.6): it is sent with `Connection: close`, then what still comes is read and thrown
 * away, and only then the connection is closed. Closed at once, the kernel would answer what is unread with a reset,
 * and the client would lose the answer it had not read yet.
 */
export function lingeringClose(app: FastifyInstance, limits: LingerLimits = defaults): void {
  let lingering = 0;
  app.addHook('onSend', (request, reply, payload, done) => {
    if (request.raw.complete || !hasBody(request)) return done(null, payload);
    // The rest of a small body lies behind its head, and is parsed by then.
    setImmediate(() => {
      if (!request.raw.complete) prepare(request, reply);
      done(null, payload);
    });
  });
  const prepare = (request: FastifyRequest, reply: FastifyReply): void => {
    reply.header('connection', 'close');
    const { socket } = request.raw;
    if (lingering >= limits.connections) return;
    const atOnce = socket.destroySoon.bind(socket);
    // Node calls it when the answer is written.
    socket.destroySoon = () => {
      socket.destroySoon = atOnce;
      lingering++;
      socket.once('close', () => {
        lingering--;
      });
      discard(request, socket, limits);
    };
  };
}

const hasBody = ({ headers }: FastifyRequest): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

function discard({ raw }: FastifyRequest, socket: Socket, { most, longest, silent }: LingerLimits): void {
  const end = socket.bytesRead + most;
  let seen = socket.bytesRead;
  const close = (): void => {
    clearInterval(watch);
    clearTimeout(deadline);
    socket.destroySoon();
  };
  const watch = setInterval(() => {
    if (socket.bytesRead === seen || socket.bytesRead > end) return close();
    seen = socket.bytesRead;
  }, silent);
  const deadline = setTimeout(close, longest);
  socket.once('close', () => {
    clearInterval(watch);
    clearTimeout(deadline);
  });
  raw.on('data', () => {
    if (socket.bytesRead > end) close();
  });
  raw.once('end', close);
  raw.on('error', close);
  raw.resume();
}
