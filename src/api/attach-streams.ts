import type { Readable, Writable } from 'node:stream';
import { createDetachWatch, parseDetachKeys, usualDetachKeys } from '#client/index.ts';
import { messageOf } from '#errors/index.ts';
import type { TaskIo } from '#runtime/index.ts';
import type { Minor } from './api-version.ts';
import type { ApiDeps } from './deps.ts';
import { flag, type Query } from './query.ts';
import type { execStartBody } from './schema/container.ts';
import type { ShapeOf } from './schema/schema.ts';
import { type Detach, endFrame, frame, type ProcessEnd, pumpAttachment, write } from './streams.ts';

export interface Connection {
  readonly input: Readable;
  readonly output: Writable;
}

/** Sends the reply's head, raw or multiplexed, and gives the streams that follow it. Called once, when nothing can be refused any more. */
export type OpenConnection = (raw: boolean) => Connection;

/** The content type of a process's output. Before 1.42 all of it was called raw. */
export const streamType = (raw: boolean, minor: Minor): string =>
  `application/vnd.docker.${raw || minor < 42 ? 'raw' : 'multiplexed'}-stream`;

/** Only what is typed at a terminal leaves it. @throws GantryError invalid, naming the keys */
function detachOf(terminal: boolean | undefined, keys: string | undefined, left: () => void): { detach?: Detach } {
  if (!terminal) return {};
  return { detach: { watch: createDetachWatch(parseDetachKeys(keys || usualDetachKeys)), left } };
}

/**
 * Joins a client with a container's streams (Engine API: ContainerAttach): with `logs` what was written before, with `stream`
 * what comes. A WebSocket has no frames for stdout and stderr: it is raw always. @throws GantryError before the head only
 */
export async function serveAttach(
  { containers }: Pick<ApiDeps, 'containers'>,
  name: string,
  query: Query,
  open: OpenConnection,
  alwaysRaw = false,
): Promise<void> {
  const container = containers.get(name);
  const asked = (key: string) => flag(query[key]);
  const raw = alwaysRaw || (container.options.terminal ?? false);
  const options = { raw, stdin: asked('stdin'), stdout: asked('stdout'), stderr: asked('stderr') };
  const detach = detachOf(container.options.terminal, query.detachKeys, () => containers.tell(container.id, 'detach'));
  const io = await containers.attach(name);
  const connection = open(raw);
  if (asked('logs') && container.logPath !== undefined && (options.stdout || options.stderr))
    for await (const record of await containers.logs(name, { stdout: options.stdout, stderr: options.stderr }))
      await write(connection.output, raw ? record.text : frame(record.stream, record.text));
  // Only what was, unless the stream is asked for; the CLI and the SDKs always do.
  if (query.stream !== undefined && !asked('stream')) {
    await io[Symbol.asyncDispose]();
    connection.output.end();
    return;
  }
  await pumpAttachment(connection, io, { ...options, ...detach });
}

export type ExecStartBody = ShapeOf<typeof execStartBody>;

/** The size of a terminal as bodies have it: rows and columns. */
export const consoleSizeOf = (size: readonly number[] | undefined): { rows: number; columns: number } | undefined =>
  size?.[0] ? { rows: size[0], columns: size[1] ?? 80 } : undefined;

const sizeOf = ({ ConsoleSize }: ExecStartBody) => {
  const size = consoleSizeOf(ConsoleSize);
  return size === undefined ? {} : { size };
};

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
  end?: () => Promise<ProcessEnd>,
): Promise<void> {
  const { options, containerId, exitCode: ended } = containers.getExec(id);
  const raw = options.terminal ?? false;
  let connection: Connection | undefined;
  let io: TaskIo;
  try {
    io = await containers.startExec(id, { ...sizeOf(body), beforeStart: () => (connection = open(raw)) });
  } catch (error) {
    // As Docker: a command that cannot be executed is told in the stream, and its code is the exec's.
    if (connection === undefined && (ended !== undefined || containers.getExec(id).exitCode === undefined)) throw error;
    const text = Buffer.from(`${messageOf(error)}\r\n`);
    const { output } = connection ?? open(raw);
    output.write(raw ? text : frame('stderr', text));
    output.end(end === undefined ? undefined : endFrame(await end()));
    return;
  }
  await pumpAttachment(connection ?? open(raw), io, {
    raw,
    stdin: options.attachStdin ?? false,
    stdout: options.attachStdout ?? true,
    stderr: options.attachStderr ?? true,
    ...detachOf(options.terminal, options.detachKeys, () =>
      containers.tell(containerId, 'exec_detach', { execID: id }),
    ),
    ...(end === undefined ? {} : { end }),
  });
}
