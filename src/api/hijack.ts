import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { GantryError, isGantryError, messageOf } from '#errors/index.ts';
import type { TaskIo } from '#runtime/index.ts';
import type { ClientSessions } from './build-sessions.ts';
import type { ApiDeps } from './deps.ts';
import { statusOfKind } from './error-status.ts';
import { flag } from './query.ts';
import { frame, pumpAttachment } from './streams.ts';

const upgraded = (raw: boolean) =>
  `HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.${raw ? 'raw' : 'multiplexed'}-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`;

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
export function createHijackHandler({ containers, onError }: ApiDeps, buildSessions: ClientSessions) {
  const serve = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://engine');
    const path = url.pathname.replace(/^\/v\d+\.\d+/, '');
    if (head.length > 0) socket.unshift(head);
    const body = await bodyOf(request);
    const attach = /^\/containers\/([^/]+)\/attach$/.exec(path);
    const agent = /^\/gantry\/build\/([^/]+)\/agents\/([^/]+)$/.exec(path);
    const exec = /^\/exec\/([^/]+)\/start$/.exec(path);
    const connection = { input: socket, output: socket };
    if (attach !== null && request.method === 'POST') {
      const name = decodeURIComponent(attach[1] ?? '');
      const container = containers.get(name);
      const asked = (key: string) => flag(url.searchParams.get(key) ?? undefined);
      const raw = container.options.terminal ?? false;
      const options = { raw, stdin: asked('stdin'), stdout: asked('stdout'), stderr: asked('stderr') };
      const io = await containers.attach(name);
      socket.write(upgraded(raw));
      if (asked('logs') && container.logPath !== undefined) {
        for await (const record of containers.logs(name, { stdout: options.stdout, stderr: options.stderr }))
          socket.write(raw ? record.text : frame(record.stream, record.text));
      }
      await pumpAttachment(connection, io, options);
    } else if (exec !== null && request.method === 'POST') {
      const id = decodeURIComponent(exec[1] ?? '');
      const { ConsoleSize: size } = JSON.parse(body || '{}') as {
        ConsoleSize?: [number, number] | null;
      };
      const { options } = containers.getExec(id);
      const raw = options.terminal ?? false;
      let io: TaskIo;
      try {
        io = await containers.startExec(id, size ? { size: { rows: size[0], columns: size[1] } } : {});
      } catch (error) {
        // As Docker: a command that cannot be executed is told in the stream, and its code is the exec's.
        if (containers.getExec(id).exitCode === undefined) throw error;
        const text = Buffer.from(`${messageOf(error)}\r\n`);
        socket.end(Buffer.concat([Buffer.from(upgraded(raw)), raw ? text : frame('stderr', text)]));
        return;
      }
      socket.write(upgraded(raw));
      await pumpAttachment(connection, io, {
        raw,
        stdin: options.attachStdin ?? false,
        stdout: options.attachStdout ?? true,
        stderr: options.attachStderr ?? true,
      });
    } else if (agent !== null && request.method === 'POST') {
      socket.write(upgraded(true));
      buildSessions.get(agent[1] ?? '').offerAgent(decodeURIComponent(agent[2] ?? ''), socket);
    } else throw new GantryError('not-found', `${request.method} ${path} cannot be upgraded`);
  };
  return (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', () => socket.destroy());
    serve(request, socket, head).catch((error: unknown) => {
      if (!isGantryError(error)) onError(error, `${request.method} ${request.url}`);
      const status = isGantryError(error) ? statusOfKind[error.kind] : 500;
      const text = JSON.stringify({ message: messageOf(error) });
      if (!socket.destroyed)
        socket.end(
          `HTTP/1.1 ${status} Error\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
        );
    });
  };
}
