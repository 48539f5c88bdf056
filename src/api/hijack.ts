import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { GantryError } from '#errors/index.ts';
import { checkedMinor, versionOf, withoutVersion } from './api-version.ts';
import { serveAttach, serveExec, startDetached, streamType } from './attach-streams.ts';
import { jsonOf } from './build-request.ts';
import type { ClientSessions } from './build-sessions.ts';
import type { ApiDeps } from './deps.ts';
import { errorAnswer } from './error-answer.ts';
import { serveStart, serveWholeExec } from './one-connection.ts';
import type { Query } from './query.ts';
import { execBody, execStartBody } from './schema/container.ts';
import { given, mismatch } from './schema/mismatch.ts';
import type { Schema } from './schema/schema.ts';
import { acceptWebSocket } from './websocket.ts';

const upgraded = (type: string) =>
  `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${type}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`;

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

/**
 * Requests with `Upgrade`: attach and exec start take the connection over, by TCP or (attach) by WebSocket
 * (Engine API: ContainerAttach, ContainerAttachWebsocket, ExecStart).
 */
export function createHijackHandler(deps: ApiDeps, buildSessions: ClientSessions) {
  const serve = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const minor = checkedMinor(versionOf(request.url ?? '/'));
    const url = new URL(withoutVersion(request.url ?? '/'), 'http://engine');
    const path = url.pathname;
    const query: Query = Object.fromEntries(url.searchParams);
    if (head.length > 0) socket.unshift(head);
    const body = await bodyOf(request);
    const attach = /^\/containers\/([^/]+)\/attach(\/ws)?$/.exec(path);
    const agent = /^\/gantry\/build\/([^/]+)\/agents\/([^/]+)$/.exec(path);
    const exec = /^\/exec\/([^/]+)\/start$/.exec(path);
    const whole = /^\/gantry\/containers\/([^/]+)\/(exec|start)$/.exec(path);
    const takeOver = (raw: boolean) => {
      socket.write(upgraded(streamType(raw, minor)));
      return { input: socket, output: socket };
    };
    if (attach?.[2] !== undefined && request.method === 'GET') {
      // Before 1.42 all streams, whatever was asked for.
      const asked = minor < 42 ? { ...query, stdin: '1', stdout: '1', stderr: '1' } : query;
      await serveAttach(deps, nameIn(attach[1]), asked, () => acceptWebSocket(request, socket), true);
    } else if (attach !== null && request.method === 'POST')
      await serveAttach(deps, nameIn(attach[1]), query, takeOver);
    else if (exec !== null && request.method === 'POST') {
      const options = parsed(body, execStartBody);
      if (options.Detach) {
        await startDetached(deps, nameIn(exec[1]), options);
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      } else await serveExec(deps, nameIn(exec[1]), options, takeOver);
    } else if (whole !== null && request.method === 'POST') {
      if (whole[2] === 'start') await serveStart(deps, nameIn(whole[1]), query, takeOver);
      else await serveWholeExec(deps, nameIn(whole[1]), parsed(body, execBody), takeOver);
    } else if (agent !== null && request.method === 'POST') {
      socket.write(upgraded(streamType(true, minor)));
      buildSessions.get(agent[1] ?? '').offerAgent(nameIn(agent[2]), socket);
    } else throw new GantryError('not-found', `${request.method} ${path} cannot be upgraded`);
  };
  return (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', () => socket.destroy());
    serve(request, socket, head).catch((error: unknown) => {
      const { status, message, known } = errorAnswer(error);
      if (!known) deps.onError(error, `${request.method} ${request.url}`);
      const text = JSON.stringify({ message });
      if (!socket.destroyed)
        socket.end(
          `HTTP/1.1 ${status} Error\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
        );
    });
  };
}

const nameIn = (part: string | undefined): string => decodeURIComponent(part ?? '');

/** @throws GantryError invalid */
function parsed<T>(body: string, { json }: Schema<T>): T {
  const value = jsonOf<object>('body', body, {});
  const wrong = mismatch(json, value);
  if (wrong !== undefined) throw new GantryError('invalid', `invalid request: ${wrong}`);
  return given(json, value) as T;
}
