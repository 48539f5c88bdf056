import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { digestOf } from '#oci/index.ts';

interface Repository {
  readonly blobs: Map<string, Buffer>;
  readonly manifests: Map<string, { readonly mediaType: string; readonly bytes: Buffer }>;
}

export interface RegistryServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** `METHOD /path?query` of every request. */
  readonly requests: string[];
  repository(name: string): Repository;
  /** After how many bytes the connections of the next uploads break. */
  readonly cuts: number[];
  /** Sees each request first; answers it by returning true. */
  intercept: (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;
}

/** A registry that keeps all in memory: blobs with ranges, uploads, mounts, manifests that need their blobs, tokens. */
export async function startRegistry(
  options: {
    readonly token?: string;
    /** Where the token is to be got: by default here. */
    readonly realm?: string;
    /** Asked for by Basic. */
    readonly account?: { readonly username: string; readonly password: string };
    readonly tls?: ServerOptions;
  } = {},
): Promise<RegistryServer> {
  const repositories = new Map<string, Repository>();
  const requests: string[] = [];
  const cuts: number[] = [];
  const uploading = new Map<string, { chunks: Buffer[]; size: number }>();
  const repository = (name: string): Repository => {
    const known = repositories.get(name) ?? { blobs: new Map(), manifests: new Map() };
    repositories.set(name, known);
    return known;
  };
  const refuse = (response: ServerResponse, status: number, code: string) =>
    response
      .writeHead(status)
      .end(JSON.stringify({ errors: [{ code, message: code.toLowerCase().replaceAll('_', ' ') }] }));

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    requests.push(`${request.method} ${request.url}`);
    if (await self.intercept(request, response)) return;
    const url = new URL(request.url ?? '/', `http://${request.headers.host}`);
    if (url.pathname === '/token') {
      response.end(JSON.stringify({ token: options.token, expires_in: 300 }));
      return;
    }
    if (options.token !== undefined && request.headers.authorization !== `Bearer ${options.token}`) {
      const realm = options.realm ?? `http://${request.headers.host}/token`;
      response.setHeader('www-authenticate', `Bearer realm="${realm}",service="test"`);
      refuse(response, 401, 'UNAUTHORIZED');
      return;
    }
    const { account } = options;
    const basic = account && `Basic ${Buffer.from(`${account.username}:${account.password}`).toString('base64')}`;
    if (basic !== undefined && request.headers.authorization !== basic) {
      response.setHeader('www-authenticate', 'Basic realm="test"');
      refuse(response, 401, 'UNAUTHORIZED');
      return;
    }
    const [, name = '', kind = '', rest = ''] = /^\/v2\/(.+?)\/(blobs|manifests)\/(.+)$/.exec(url.pathname) ?? [];
    const repo = repository(name);
    if (kind === 'manifests') await manifests(repo, rest, request, response);
    else if (rest.startsWith('uploads/')) await uploads(name, url, request, response);
    else if (kind === 'blobs') blob(repo.blobs.get(rest), request, response);
    else response.end('{}');
  };

  const manifests = async (repo: Repository, key: string, request: IncomingMessage, response: ServerResponse) => {
    if (request.method === 'PUT') {
      const bytes = Buffer.concat((await request.toArray()) as Buffer[]);
      const document = JSON.parse(bytes.toString()) as { config: { digest: string }; layers: { digest: string }[] };
      if ([document.config, ...document.layers].some(({ digest }) => !repo.blobs.has(digest)))
        return void refuse(response, 400, 'MANIFEST_BLOB_UNKNOWN');
      const manifest = { mediaType: request.headers['content-type'] ?? '', bytes };
      repo.manifests.set(key, manifest);
      repo.manifests.set(digestOf(bytes), manifest);
      return void response.writeHead(201).end();
    }
    const found = repo.manifests.get(key);
    if (found === undefined) return void refuse(response, 404, 'MANIFEST_UNKNOWN');
    response.writeHead(200, { 'content-type': found.mediaType, 'content-length': found.bytes.length });
    response.end(request.method === 'HEAD' ? undefined : found.bytes);
  };

  const uploads = async (name: string, url: URL, request: IncomingMessage, response: ServerResponse) => {
    const repo = repository(name);
    const mount = url.searchParams.get('mount');
    const source = mount === null ? undefined : repositories.get(url.searchParams.get('from') ?? '')?.blobs.get(mount);
    if (request.method === 'POST' && mount !== null && source !== undefined) {
      repo.blobs.set(mount, source);
      response.writeHead(201).end();
    } else if (request.method === 'POST') {
      uploading.set(`/v2/${name}/blobs/uploads/${requests.length}`, { chunks: [], size: 0 });
      response.writeHead(202, { location: `/v2/${name}/blobs/uploads/${requests.length}` }).end();
      return undefined;
    } else {
      const upload = uploading.get(url.pathname);
      if (upload === undefined) return refuse(response, 404, 'BLOB_UPLOAD_UNKNOWN');
      const progress = () => ({ location: url.pathname, range: `0-${Math.max(0, upload.size - 1)}` });
      if (request.method === 'GET') return response.writeHead(204, progress()).end();
      const start = Number(/^(\d+)-/.exec(request.headers['content-range'] ?? '')?.[1] ?? upload.size);
      if (start !== upload.size) return refuse(response, 416, 'RANGE_INVALID');
      const cut = start + (cuts.shift() ?? Number.POSITIVE_INFINITY);
      // What came before a cut is kept.
      for await (const chunk of request as AsyncIterable<Buffer>) {
        upload.chunks.push(chunk);
        upload.size += chunk.length;
        if (upload.size > cut) request.destroy();
      }
      if (request.method === 'PATCH') return response.writeHead(202, progress()).end();
      const bytes = Buffer.concat(upload.chunks);
      const digest = url.searchParams.get('digest') ?? '';
      if (`sha256:${createHash('sha256').update(bytes).digest('hex')}` !== digest)
        return refuse(response, 400, 'DIGEST_INVALID');
      repo.blobs.set(digest, bytes);
      response.writeHead(201).end();
    }
    return undefined;
  };

  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  };
  const server = options.tls === undefined ? createServer(onRequest) : createTlsServer(options.tls, onRequest);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const self: RegistryServer = {
    port,
    host: `127.0.0.1:${port}`,
    requests,
    cuts,
    repository,
    intercept: () => false,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return self;
}

/** A blob, or the part of it that was asked for. */
export function blob(bytes: Buffer | undefined, request: IncomingMessage, response: ServerResponse): void {
  if (bytes === undefined) {
    response.writeHead(404).end(JSON.stringify({ errors: [{ code: 'BLOB_UNKNOWN', message: 'blob unknown' }] }));
    return;
  }
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const range = start > 0 ? { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` } : {};
  response.writeHead(start > 0 ? 206 : 200, { 'content-length': bytes.length - start, ...range });
  response.end(request.method === 'HEAD' ? undefined : bytes.subarray(start));
}
