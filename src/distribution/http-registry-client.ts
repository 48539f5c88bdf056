import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Readable, Transform } from 'node:stream';
import { GantryError, isGantryError } from '#errors/index.ts';
import { digestOf, familiarReference, mediaTypes, parseDigest, type Reference } from '#oci/index.ts';
import { createAuthorizer, parseChallenge } from './authorization.ts';
import type { Credentials, RegistryClient, RequestOptions } from './registry-client.ts';
import { bodyOf, jsonOf, responseError } from './response-error.ts';
import { createTransport, type Outgoing, type TransportOptions } from './transport.ts';

export interface RegistryClientOptions extends TransportOptions {
  /** Base URLs asked before Docker Hub for its images. */
  readonly mirrors?: readonly string[];
}

const accept = [mediaTypes.ociIndex, mediaTypes.dockerIndex, mediaTypes.ociManifest, mediaTypes.dockerManifest].join(
  ', ',
);
const apiHost = (registry: string): string => (registry === 'docker.io' ? 'registry-1.docker.io' : registry);
const redirects = new Set([301, 302, 303, 307, 308]);

interface Call {
  readonly method: Outgoing['method'];
  readonly base: string;
  readonly path: string | URL;
  readonly scope: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Outgoing['body'];
}

/** A registry client over node's HTTP: token and Basic logins, redirects that leak no credentials, mounts, mirrors. */
export function createRegistryClient(options: RegistryClientOptions = {}): RegistryClient & Disposable {
  const transport = createTransport(options);
  const authorizer = createAuthorizer(transport);

  const baseOf = async (registry: string, signal: AbortSignal | undefined): Promise<string> => {
    const host = apiHost(registry);
    return `${await transport.schemeOf(host, signal)}://${host}`;
  };

  const follow = async (first: Outgoing): Promise<IncomingMessage> => {
    let outgoing = first;
    for (let hops = 0; ; hops++) {
      const response = await transport.send(outgoing);
      const location = response.headers.location;
      const reads = outgoing.method === 'GET' || outgoing.method === 'HEAD';
      if (!reads || location === undefined || !redirects.has(response.statusCode ?? 0)) return response;
      response.resume();
      if (hops === 10) throw new GantryError('unavailable', `${first.url.host} redirects in a circle`);
      const url = new URL(location, outgoing.url);
      if (outgoing.url.protocol === 'https:' && url.protocol !== 'https:' && !options.insecure?.(url.host))
        throw new GantryError('unavailable', `${outgoing.url.host} redirects to plain HTTP at ${url.host}; refused`);
      const headers = { ...outgoing.headers };
      if (url.origin !== outgoing.url.origin) delete headers.authorization;
      outgoing = { ...outgoing, url, headers };
    }
  };

  const call = async (call: Call, { credentials, signal }: RequestOptions): Promise<IncomingMessage> => {
    const url = new URL(call.path, call.base);
    const host = new URL(call.base).host;
    // An upload may be continued at another host; that one is not told who we are.
    const own = url.host === host;
    const send = (authorization: string | undefined) =>
      follow({
        method: call.method,
        url,
        headers: { ...call.headers, ...(authorization === undefined || !own ? {} : { authorization }) },
        body: call.body,
        signal,
      });
    const response = await send(authorizer.known(host, call.scope, credentials));
    if (response.statusCode !== 401 || !own) return response;
    const challenge = parseChallenge(response.headers['www-authenticate']);
    if (challenge === undefined) return response;
    const authorization = await authorizer.answer(host, challenge, call.scope, credentials, signal);
    if (authorization === undefined) return response;
    response.resume();
    return await send(authorization);
  };

  const pullScope = (ref: Reference) => `repository:${ref.repository}:pull`;
  const pushScope = (ref: Reference, from?: string) =>
    `repository:${ref.repository}:pull,push${from === undefined ? '' : ` repository:${from}:pull`}`;

  /** Reads from a mirror where one has it, else from the registry itself. */
  const readFrom = async (
    ref: Reference,
    method: 'GET' | 'HEAD',
    path: string,
    headers: Record<string, string>,
    request: RequestOptions,
  ): Promise<{ response: IncomingMessage; host: string }> => {
    const scope = pullScope(ref);
    for (const mirror of ref.registry === 'docker.io' ? (options.mirrors ?? []) : []) {
      try {
        const anonymous: RequestOptions = { signal: request.signal };
        const response = await call({ method, base: mirror, path, scope, headers }, anonymous);
        if ((response.statusCode ?? 500) < 300) return { response, host: new URL(mirror).host };
        response.resume();
      } catch (error) {
        if (isGantryError(error, 'cancelled')) throw error;
      }
    }
    const base = await baseOf(ref.registry, request.signal);
    return { response: await call({ method, base, path, scope, headers }, request), host: new URL(base).host };
  };

  const manifestPath = (ref: Reference) => `/v2/${ref.repository}/manifests/${ref.digest ?? ref.tag ?? 'latest'}`;

  const uploadsPath = (ref: Reference) => `/v2/${ref.repository}/blobs/uploads/`;
  const empty = { 'content-length': '0' };

  const beginUpload = async (ref: Reference, base: string, scope: string, request: RequestOptions): Promise<string> => {
    const host = new URL(base).host;
    const response = await call({ method: 'POST', base, path: uploadsPath(ref), scope, headers: empty }, request);
    if (response.statusCode !== 202)
      throw await responseError(`cannot push to ${familiarReference(ref)}`, host, response);
    response.resume();
    const { location } = response.headers;
    if (location !== undefined) return location;
    throw new GantryError('unavailable', `${host} began an upload without a Location`);
  };

  /**
   * Tries the sources of a mount in turn; one that cannot be read is passed over. Gives the source, or the upload that
   * the registry began instead, or nothing (distribution-spec: mounting a blob from another repository).
   */
  const mount = async (
    ref: Reference,
    base: string,
    digest: string,
    { mountFrom = [], ...request }: RequestOptions & { mountFrom?: readonly string[] },
  ): Promise<{ from?: string; location?: string } | undefined> => {
    let location: string | undefined;
    for (const from of mountFrom) {
      if (location !== undefined) {
        const path = new URL(location, `${base}${uploadsPath(ref)}`);
        (await call({ method: 'DELETE', base, path, scope: pushScope(ref) }, request)).resume();
        location = undefined;
      }
      const path = `${uploadsPath(ref)}?mount=${encodeURIComponent(digest)}&from=${encodeURIComponent(from)}`;
      try {
        const scope = pushScope(ref, from);
        const response = await call({ method: 'POST', base, path, scope, headers: empty }, request);
        response.resume();
        if (response.statusCode === 201) return { from };
        if (response.statusCode === 202) location = response.headers.location;
      } catch (error) {
        if (!isGantryError(error, 'unauthorized') && !isGantryError(error, 'forbidden')) throw error;
      }
    }
    return location === undefined ? undefined : { location };
  };

  const self: RegistryClient & Disposable = {
    async login(registry, credentials: Credentials, request = {}) {
      const base = await baseOf(registry, request.signal);
      const host = new URL(base).host;
      const response = await call({ method: 'GET', base, path: '/v2/', scope: '' }, { ...request, credentials });
      if (response.statusCode !== 200) throw await responseError(`login to ${registry} failed`, host, response);
      response.resume();
    },

    async getManifest(ref, request = {}) {
      const { response, host } = await readFrom(ref, 'GET', manifestPath(ref), { accept }, request);
      if (response.statusCode !== 200)
        throw await responseError(
          `manifest for ${familiarReference(ref)} not found`.replace(
            /not found$/,
            response.statusCode === 404 ? 'not found' : 'not readable',
          ),
          host,
          response,
        );
      const bytes = await bodyOf(response);
      const expected = ref.digest;
      const algorithm = expected === undefined ? 'sha256' : parseDigest(expected).algorithm;
      const digest = `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
      if (expected !== undefined && digest !== expected)
        throw new GantryError('corrupt', `${host} answered manifest ${digest} where ${expected} was asked`, {
          code: 'digest-mismatch',
        });
      const mediaType = (response.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
      return { mediaType, digest, bytes };
    },

    async headManifest(ref, request = {}) {
      const { response, host } = await readFrom(ref, 'HEAD', manifestPath(ref), { accept }, request);
      if (response.statusCode === 404) {
        response.resume();
        return undefined;
      }
      if (response.statusCode !== 200)
        throw await responseError(`manifest for ${familiarReference(ref)} not readable`, host, response);
      response.resume();
      const digest = response.headers['docker-content-digest'];
      const mediaType = (response.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
      if (typeof digest === 'string' && response.headers['content-length'] !== undefined)
        return { digest, mediaType, size: Number(response.headers['content-length']) };
      const whole = await self.getManifest(ref, request);
      return { digest: whole.digest, mediaType: whole.mediaType, size: whole.bytes.length };
    },

    async getBlob(ref, digest, request = {}) {
      const start = request.start ?? 0;
      const headers: Record<string, string> = start > 0 ? { range: `bytes=${start}-` } : {};
      const { response, host } = await readFrom(ref, 'GET', `/v2/${ref.repository}/blobs/${digest}`, headers, request);
      const ranged = response.statusCode === 206 && start > 0;
      if (response.statusCode !== 200 && !ranged)
        throw await responseError(`blob ${digest} of ${familiarReference(ref)} not readable`, host, response);
      if (ranged && !response.headers['content-range']?.startsWith(`bytes ${start}-`)) {
        response.destroy();
        throw new GantryError(
          'unavailable',
          `${host} was asked for ${digest} from byte ${start} and sent "${response.headers['content-range']}"`,
        );
      }
      return ranged || start === 0 ? response : Readable.from(after(response, start), { objectMode: false });
    },

    async hasBlob(ref, digest, request = {}) {
      const { response, host } = await readFrom(ref, 'HEAD', `/v2/${ref.repository}/blobs/${digest}`, {}, request);
      if (response.statusCode === 200 || response.statusCode === 404) {
        response.resume();
        return response.statusCode === 200;
      }
      throw await responseError(`blob ${digest} of ${familiarReference(ref)} not readable`, host, response);
    },

    async putBlob(ref, blob, request = {}) {
      const base = await baseOf(ref.registry, request.signal);
      const host = new URL(base).host;
      const scope = pushScope(ref);
      const blobPath = `/v2/${ref.repository}/blobs/${blob.digest}`;
      const head = await call({ method: 'HEAD', base, path: blobPath, scope }, request);
      head.resume();
      if (head.statusCode === 200) return { how: 'existed' };
      const mounted = await mount(ref, base, blob.digest, request);
      if (mounted?.from !== undefined) return { how: 'mounted', from: mounted.from };
      const location = mounted?.location ?? (await beginUpload(ref, base, scope, request));
      const url = new URL(location, `${base}/v2/${ref.repository}/blobs/uploads/`);
      url.searchParams.set('digest', blob.digest);
      const open = async (): Promise<Readable> => {
        let sent = 0;
        const source = await blob.open();
        const counted = new Transform({
          transform(chunk: Buffer, _encoding, done) {
            sent += chunk.length;
            request.onProgress?.(sent);
            done(null, chunk);
          },
        });
        source.once('error', (error) => counted.destroy(error));
        counted.once('close', () => source.destroy());
        return source.pipe(counted);
      };
      const headers = { 'content-type': 'application/octet-stream', 'content-length': String(blob.size) };
      const done = await call({ method: 'PUT', base, path: url, scope, headers, body: open }, request);
      if (done.statusCode !== 201) throw await responseError(`cannot push ${blob.digest}`, host, done);
      done.resume();
      return { how: 'uploaded' };
    },

    async putManifest(ref, manifest, request = {}) {
      const base = await baseOf(ref.registry, request.signal);
      const headers = { 'content-type': manifest.mediaType, 'content-length': String(manifest.bytes.length) };
      const path = manifestPath(ref);
      const response = await call(
        { method: 'PUT', base, path, scope: pushScope(ref), headers, body: manifest.bytes },
        request,
      );
      if (response.statusCode !== 201 && response.statusCode !== 200)
        throw await responseError(`cannot push ${familiarReference(ref)}`, new URL(base).host, response);
      response.resume();
      return { digest: digestOf(manifest.bytes) };
    },

    async listTags(ref, request = {}) {
      const tags: string[] = [];
      let path = `/v2/${ref.repository}/tags/list`;
      for (;;) {
        const { response, host } = await readFrom(ref, 'GET', path, {}, request);
        if (response.statusCode !== 200)
          throw await responseError(`tags of ${ref.repository} not readable`, host, response);
        const link = /<([^>]+)>\s*;\s*rel="?next"?/.exec(String(response.headers.link ?? ''))?.[1];
        tags.push(...((await jsonOf<{ tags: string[] | null }>(host, response)).tags ?? []));
        if (link === undefined) return tags;
        const next = new URL(link, `https://${host}${path}`);
        path = next.pathname + next.search;
      }
    },

    [Symbol.dispose]: () => transport[Symbol.dispose](),
  };
  return self;
}

/** What follows the first `start` bytes, where a registry sends all of them whatever was asked. */
async function* after(body: AsyncIterable<Buffer>, start: number): AsyncGenerator<Buffer> {
  let skip = start;
  for await (const chunk of body) {
    if (skip < chunk.length) yield chunk.subarray(skip);
    skip = Math.max(0, skip - chunk.length);
  }
}
