import { request } from 'node:http';
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  /** Every JSON value of the body: of a stream its items. */
  readonly values: readonly unknown[];
}

export interface CallOptions {
  readonly json?: unknown;
  readonly body?: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** Leaves a stream after so many lines. */
  readonly lines?: number;
  /** When the head has come. */
  readonly onHead?: () => void;
}

/** JSON values of a body, one or one a line. */
function valuesOf(text: string): readonly unknown[] {
  try {
    return [JSON.parse(text)];
  } catch {
    try {
      return text
        .split('\n')
        .filter((line) => line.trim() !== '')
        .map((line) => JSON.parse(line) as unknown);
    } catch {
      return [];
    }
  }
}

/** One call over a unix socket. */
export function call(socketPath: string, method: string, path: string, options: CallOptions = {}): Promise<Answer> {
  return new Promise((done, fail) => {
    const bytes = options.body ?? (options.json === undefined ? undefined : Buffer.from(JSON.stringify(options.json)));
    const headers = {
      ...(options.json === undefined ? {} : { 'content-type': 'application/json' }),
      ...(options.body === undefined ? {} : { 'content-type': 'application/x-tar' }),
      ...(bytes === undefined ? {} : { 'content-length': String(bytes.length) }),
      ...options.headers,
    };
    const outgoing = request({ socketPath, method, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      options.onHead?.();
      const finish = () => {
        const body = Buffer.concat(chunks);
        const type = response.headers['content-type'] ?? '';
        done({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body,
          values: type.startsWith('application/json') && body.length > 0 ? valuesOf(body.toString('utf8')) : [],
        });
      };
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        const count = Buffer.concat(chunks).toString('latin1').split('\n').length - 1;
        if (options.lines === undefined || count < options.lines) return;
        outgoing.destroy();
        finish();
      });
      response.on('end', finish);
      response.on('error', () => undefined);
    });
    outgoing.once('error', fail);
    outgoing.end(bytes);
  });
}

/** A connection that is taken over: what it answers with, head and all, until the engine ends it. */
export async function upgrade(
  socketPath: string,
  head: readonly string[],
  say: (socket: Socket, soFar: Buffer) => void,
  json?: unknown,
): Promise<{ status: number; headers: string; rest: Buffer }> {
  const socket = connect(socketPath);
  const body = json === undefined ? '' : JSON.stringify(json);
  const more = json === undefined ? [] : ['Content-Type: application/json', `Content-Length: ${body.length}`];
  socket.write(`${[...head, 'Host: engine', 'Connection: Upgrade', ...more].join('\r\n')}\r\n\r\n${body}`);
  let got = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    got = Buffer.concat([got, chunk]);
    const end = got.indexOf('\r\n\r\n');
    if (end >= 0) say(socket, got.subarray(end + 4));
  }
  const end = got.indexOf('\r\n\r\n');
  const text = got.toString('latin1', 0, end);
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]), headers: text, rest: got.subarray(end + 4) };
}

/** A client's WebSocket frame of less than 126 bytes (RFC 6455 section 5.2). */
export function maskedFrame(operation: number, text: string): Buffer {
  const data = Buffer.from(text);
  const mask = Buffer.from([1, 2, 3, 4]);
  const masked = data.map((byte, at) => byte ^ (mask[at % 4] ?? 0));
  return Buffer.concat([Buffer.from([0x80 | operation, 0x80 | data.length]), mask, masked]);
}
