import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { GantryError, isGantryError, messageOf } from '#errors/index.ts';
import { type ExecStartBody, serveAttach, serveExec, startDetached, streamType } from './attach-streams.ts';
import type { ClientSessions } from './build-sessions.ts';
import type { ApiDeps } from './deps.ts';
import { statusOfKind } from './error-status.ts';

const upgraded = (raw: boolean) =>
  `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${streamType(raw)}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`;

const bodyLimit = 1024 * 1024;

/** The request's own body: Node hands it over apart from what follows on the connection. */
async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > bodyLimit)
      throw new GantryError('invalid', `a body of more than ${bodyLimit} bytes is too large here`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** `Upgrade: tcp` requests: attach and exec start take the connection over (Engine API: ContainerAttach, ExecStart). */
export function createHijackHandler(deps: ApiDeps, buildSessions: ClientSessions) {
  const serve = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://engine');
    const path = url.pathname.replace(/^\/v\d+\.\d+/, '');
    if (head.length > 0) socket.unshift(head);
    const body = await bodyOf(request);
    const attach = /^\/containers\/([^/]+)\/attach$/.exec(path);
    const agent = /^\/gantry\/build\/([^/]+)\/agents\/([^/]+)$/.exec(path);
    const exec = /^\/exec\/([^/]+)\/start$/.exec(path);
    const open = (raw: boolean) => {
      socket.write(upgraded(raw));
      return { input: socket, output: socket };
    };
    if (attach !== null && request.method === 'POST') {
      await serveAttach(deps, decodeURIComponent(attach[1] ?? ''), url.searchParams, open);
    } else if (exec !== null && request.method === 'POST') {
      const asked = JSON.parse(body || '{}') as ExecStartBody;
      const id = decodeURIComponent(exec[1] ?? '');
      if (asked.Detach) {
        await startDetached(deps, id, asked);
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      } else await serveExec(deps, id, asked, open);
    } else if (agent !== null && request.method === 'POST') {
      socket.write(upgraded(true));
      buildSessions.get(agent[1] ?? '').offerAgent(decodeURIComponent(agent[2] ?? ''), socket);
    } else throw new GantryError('not-found', `${request.method} ${path} cannot be upgraded`);
  };
  return (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', () => socket.destroy());
    serve(request, socket, head).catch((error: unknown) => {
      if (!isGantryError(error)) deps.onError(error, `${request.method} ${request.url}`);
      const status = isGantryError(error) ? statusOfKind[error.kind] : 500;
      const text = JSON.stringify({ message: messageOf(error) });
      if (!socket.destroyed)
        socket.end(
          `HTTP/1.1 ${status} Error\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
        );
    });
  };
}
