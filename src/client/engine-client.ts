import { connect, type Socket } from 'node:net';
import { type ErrorKind, GantryError, messageOf } from '#errors/index.ts';
import type { EngineAddress } from './engine-address.ts';
import { type ResponseHead, readBody, readHead, requestHead, writeChunks } from './http-exchange.ts';

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';

export interface EngineRequest {
  /** Undefined values are left out, `true` is sent as 1, lists as repeated parameters. */
  readonly query?: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it comes, in chunks (`application/x-tar` unless a header says otherwise). */
  readonly body?: AsyncIterable<Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface EngineResponse {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** To be read to its end or left by `break`: either closes the connection. */
  readonly body: AsyncIterable<Buffer>;
}

/**
 * A connection taken over by attach or exec start: bytes both ways, `end()` half-closes
 * towards the process. Output is framed as stdout and stderr (see `demultiplex`) where the process has no terminal; the
 * answer's content type does not tell, since older engines call both raw.
 */
export interface HijackedConnection {
  readonly socket: Socket;
}

/**
 * Calls of the Docker Engine API, one connection each. Every method throws a GantryError of the kind that the
 * answer's status stands for, with the engine's own message and the code `engine-response`; `unavailable` with code
 * `engine-unreachable` where nothing listens.
 */
export interface EngineClient {
  readonly address: EngineAddress;
  /** The answer's JSON; undefined where it has no body (204, 304). */
  json<T>(method: Method, path: string, request?: EngineRequest): Promise<T>;
  /** The answer's text as it came. */
  text(method: Method, path: string, request?: EngineRequest): Promise<string>;
  /** The answer's head, its body still to be read. */
  stream(method: Method, path: string, request?: EngineRequest): Promise<EngineResponse>;
  hijack(path: string, request?: EngineRequest): Promise<HijackedConnection>;
}

export interface EngineClientOptions {
  /** Sent as User-Agent. */
  readonly userAgent: string;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Of the API, in place of the usual one, and no other (DOCKER_API_VERSION). */
  readonly apiVersion?: string;
  /** Asked once when nothing listens at the address; true means: try again now. */
  readonly onUnreachable?: () => Promise<boolean>;
}

const kindOfStatus: Readonly<Record<number, ErrorKind>> = {
  400: 'invalid',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not-found',
  409: 'conflict',
  499: 'cancelled',
  501: 'unsupported',
  503: 'unavailable',
  507: 'exhausted',
};

/** The version of the API that is asked for: its answers are what people's templates were written for. */
export const clientApiVersion = '1.50';

const tooNew = /client version \S+ is too new\. Maximum supported API version is (1\.\d+)/;

/** A client of the engine at `address`. Connects to nothing before its first call. */
export function createEngineClient(address: EngineAddress, options: EngineClientOptions): EngineClient {
  let version = options.apiVersion ?? clientApiVersion;
  /** Our own calls have no versions: an engine that knows them is of this age. */
  const versioned = (path: string): string => (path.startsWith('/gantry/') ? path : `/v${version}${path}`);
  let mayAsk = options.onUnreachable !== undefined;
  const open = async (): Promise<Socket> => {
    try {
      return await connectTo(address);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (mayAsk && (code === 'ENOENT' || code === 'ECONNREFUSED')) {
        mayAsk = false;
        if (await options.onUnreachable?.()) return await connectTo(address);
      }
      throw unreachable(address, error);
    }
  };

  const exchange = async (method: Method, path: string, request: EngineRequest, extra: Record<string, string>) => {
    request.signal?.throwIfAborted();
    const json = request.json === undefined ? undefined : JSON.stringify(request.json);
    const head = requestHead(method, versioned(path) + queryString(request.query), {
      ...options.headers,
      Host: address.kind === 'unix' ? 'engine' : `${address.host}:${address.port}`,
      'User-Agent': options.userAgent,
      Connection: 'close',
      ...(json === undefined
        ? {}
        : { 'Content-Type': 'application/json', 'Content-Length': `${Buffer.byteLength(json)}` }),
      ...(request.body === undefined ? {} : { 'Content-Type': 'application/x-tar', 'Transfer-Encoding': 'chunked' }),
      ...(json === undefined && request.body === undefined && method === 'POST' ? { 'Content-Length': '0' } : {}),
      ...request.headers,
      ...extra,
    });
    const socket = await open();
    socket.on('error', () => {}); // told by whoever reads; without a reader it must not end the process
    const abort = () => socket.destroy(new GantryError('cancelled', 'the request was cancelled'));
    request.signal?.addEventListener('abort', abort, { once: true });
    socket.once('close', () => request.signal?.removeEventListener('abort', abort));
    socket.write(head + (json ?? ''));
    const sending = request.body === undefined ? undefined : send(socket, request.body);
    const answer = await (sending === undefined ? readHead(socket) : Promise.race([readHead(socket), sending.failed]));
    // An answer to HEAD has no body, whatever length it names (RFC 9112 section 6.3).
    const response =
      method === 'HEAD' ? { ...answer, headers: new Map([...answer.headers, ['content-length', '0']]) } : answer;
    return { socket, response, sending };
  };

  /** An exchange that was not refused. An older engine is asked again in the newest version it knows. */
  const accepted = async (method: Method, path: string, request: EngineRequest, extra: Record<string, string>) => {
    for (;;) {
      const done = await exchange(method, path, request, extra);
      if (done.response.status < 400) return done;
      const error = await responseError(done.socket, done.response);
      const older = options.apiVersion === undefined ? tooNew.exec(error.message)?.[1] : undefined;
      if (older === undefined || older === version || request.body !== undefined) throw error;
      version = older;
    }
  };

  const stream = async (method: Method, path: string, request: EngineRequest = {}): Promise<EngineResponse> => {
    const { socket, response, sending } = await accepted(method, path, request, {});
    const body = readBody(socket, response);
    return {
      status: response.status,
      headers: response.headers,
      body: sending === undefined ? body : withUploadErrors(body, sending),
    };
  };
  const text = async (method: Method, path: string, request?: EngineRequest): Promise<string> =>
    (await collect((await stream(method, path, request)).body)).toString('utf8');

  return {
    address,
    stream,
    text,
    async json<T>(method: Method, path: string, request?: EngineRequest): Promise<T> {
      const answer = await text(method, path, request);
      try {
        return (answer === '' ? undefined : JSON.parse(answer)) as T;
      } catch (error) {
        throw new GantryError('corrupt', `the answer to ${method} ${path} is not JSON: ${messageOf(error)}`);
      }
    },
    async hijack(path, request = {}) {
      const { socket } = await accepted('POST', path, request, { Connection: 'Upgrade', Upgrade: 'tcp' });
      return { socket };
    },
  };
}

function queryString(query: EngineRequest['query']): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === undefined) continue;
    if (typeof value === 'object') for (const one of value) parameters.append(name, one);
    else parameters.append(name, value === true ? '1' : value === false ? '0' : String(value));
  }
  return parameters.size === 0 ? '' : `?${parameters}`;
}

async function connectTo(address: EngineAddress): Promise<Socket> {
  const secure = address.kind === 'tcp' ? address.tls : undefined;
  const socket =
    address.kind === 'unix'
      ? connect(address.path)
      : secure === undefined
        ? connect(address.port, address.host)
        : (await import('node:tls')).connect({
            port: address.port,
            host: address.host,
            servername: /^[\d.]+$|:/.test(address.host) ? '' : address.host,
            rejectUnauthorized: secure.verify,
            ca: secure.ca,
            cert: secure.cert,
            key: secure.key,
          });
  return new Promise((resolve, reject) => {
    socket.once('error', reject).once(secure === undefined ? 'connect' : 'secureConnect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

/** The address as a person writes it. */
export const hostOf = (address: EngineAddress): string =>
  address.kind === 'unix' ? `unix://${address.path}` : `tcp://${address.host}:${address.port}`;

function unreachable(address: EngineAddress, error: unknown): GantryError {
  const host = hostOf(address);
  if ((error as NodeJS.ErrnoException).code === 'EACCES')
    return new GantryError('forbidden', `permission denied while trying to connect to the engine at ${host}`, {
      cause: error,
    });
  return new GantryError(
    'unavailable',
    `Cannot connect to the Gantry daemon at ${host}. Is the daemon running? (${messageOf(error)})`,
    { code: 'engine-unreachable', cause: error },
  );
}

interface Sending {
  /** Rejects with the source's error; never resolves. */
  readonly failed: Promise<never>;
  error?: unknown;
}

/** Sends a body while the answer may already be coming; an error of the source ends the exchange. */
function send(socket: Socket, body: AsyncIterable<Uint8Array>): Sending {
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {}); // raced or asked for where it matters
  const sending: Sending = { failed: failed.promise };
  writeChunks(socket, body).catch((error: unknown) => {
    sending.error = error;
    failed.reject(error);
    socket.destroy();
  });
  return sending;
}

/** The source's error is the cause where the answer broke off because of it. */
async function* withUploadErrors(body: AsyncIterable<Buffer>, sending: Sending): AsyncGenerator<Buffer, void, void> {
  try {
    yield* body;
  } catch (error) {
    throw sending.error ?? error;
  }
}

async function collect(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function responseError(socket: Socket, head: ResponseHead): Promise<GantryError> {
  const text = (await collect(readBody(socket, head))).toString('utf8');
  let message = text.trim();
  try {
    const parsed = JSON.parse(text) as { message?: string };
    if (typeof parsed.message === 'string') message = parsed.message;
  } catch {
    // Not JSON: the text itself is the message.
  }
  return refusal(head.status, message || `status ${head.status} ${head.reason}`);
}

/** What the engine refuses, as an error: of the kind that the status stands for. */
export const refusal = (status: number, message: string): GantryError =>
  new GantryError(kindOfStatus[status] ?? 'internal', message, { code: 'engine-response' });
