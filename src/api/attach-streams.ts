import type { Readable, Writable } from 'node:stream';
import { messageOf } from '#errors/index.ts';
import type { TaskIo } from '#runtime/index.ts';
import type { ApiDeps } from './deps.ts';
import { flag } from './query.ts';
import { frame, pumpAttachment, write } from './streams.ts';

export interface Connection {
  readonly input: Readable;
  readonly output: Writable;
}

/** Sends the reply's head, raw or multiplexed, and gives the streams that follow it. Called once, when nothing can be refused any more. */
export type OpenConnection = (raw: boolean) => Connection;

export const streamType = (raw: boolean): string => `application/vnd.docker.${raw ? 'raw' : 'multiplexed'}-stream`;

/** Joins a client with a container's streams (Engine API: ContainerAttach). @throws GantryError before the head only */
export async function serveAttach(
  { containers }: Pick<ApiDeps, 'containers'>,
  name: string,
  query: URLSearchParams,
  open: OpenConnection,
): Promise<void> {
  const container = containers.get(name);
  const asked = (key: string) => flag(query.get(key) ?? undefined);
  const raw = container.options.terminal ?? false;
  const options = { raw, stdin: asked('stdin'), stdout: asked('stdout'), stderr: asked('stderr') };
  const io = await containers.attach(name);
  const connection = open(raw);
  if (asked('logs') && container.logPath !== undefined)
    for await (const record of containers.logs(name, { stdout: options.stdout, stderr: options.stderr }))
      await write(connection.output, raw ? record.text : frame(record.stream, record.text));
  // Only what was, unless the stream is asked for; the CLI and the SDKs always do.
  if (query.has('stream') && !asked('stream')) {
    await io[Symbol.asyncDispose]();
    connection.output.end();
    return;
  }
  await pumpAttachment(connection, io, options);
}

export interface ExecStartBody {
  readonly Detach?: boolean;
  readonly Tty?: boolean;
  readonly ConsoleSize?: readonly [number, number] | null;
}

const sizeOf = ({ ConsoleSize: size }: ExecStartBody) => (size ? { size: { rows: size[0], columns: size[1] } } : {});

/** Starts an exec that nobody listens to. */
export async function startDetached(
  { containers }: Pick<ApiDeps, 'containers'>,
  id: string,
  body: ExecStartBody,
): Promise<void> {
  const io = await containers.startExec(id, sizeOf(body));
  await io[Symbol.asyncDispose]();
}

/**
 * Starts an exec and joins a client with it (Engine API: ExecStart). The head is sent before the process runs: clients that
 * read head and output with one call lose what comes with the head. @throws GantryError before the head only
 */
export async function serveExec(
  { containers }: Pick<ApiDeps, 'containers'>,
  id: string,
  body: ExecStartBody,
  open: OpenConnection,
): Promise<void> {
  const { options } = containers.getExec(id);
  const raw = options.terminal ?? false;
  let connection: Connection | undefined;
  let io: TaskIo;
  try {
    io = await containers.startExec(id, { ...sizeOf(body), beforeStart: () => (connection = open(raw)) });
  } catch (error) {
    // As Docker: a command that cannot be executed is told in the stream, and its code is the exec's.
    if (connection === undefined && containers.getExec(id).exitCode === undefined) throw error;
    const text = Buffer.from(`${messageOf(error)}\r\n`);
    (connection ?? open(raw)).output.end(raw ? text : frame('stderr', text));
    return;
  }
  await pumpAttachment(connection ?? open(raw), io, {
    raw,
    stdin: options.attachStdin ?? false,
    stdout: options.attachStdout ?? true,
    stderr: options.attachStderr ?? true,
  });
}
