import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { GantryError } from '#errors/index.ts';
import { digestOf, familiarReference, mediaTypes, parseDigest, type Reference } from '#oci/index.ts';
import { rateLimitOf } from './rate-limit.ts';
import { createRegistryCalls } from './registry-calls.ts';
import type { Credentials, RegistryClient } from './registry-client.ts';
import { createRegistryHosts, type RegistryHostsOptions } from './registry-hosts.ts';
import { bodyOf, jsonOf, responseError } from './response-error.ts';
import { searchRepositories } from './search-repositories.ts';
import { createTransport, type TransportOptions } from './transport.ts';
import { pushScope, uploadBlob } from './upload-blob.ts';

export type RegistryClientOptions = RegistryHostsOptions & TransportOptions;

const accept = [mediaTypes.ociIndex, mediaTypes.dockerIndex, mediaTypes.ociManifest, mediaTypes.dockerManifest].join(
  ', ',
);
/** A registry client over node's HTTP: token and Basic logins, redirects that leak no credentials, mounts, mirrors. */
export function createRegistryClient(options: RegistryClientOptions = {}): RegistryClient & Disposable {
  const hosts = createRegistryHosts(options);
  const transport = createTransport(hosts, options);
  const calls = createRegistryCalls(transport, hosts);
  const { call, baseOf, read: readFrom } = calls;

  const manifestPath = (ref: Reference) => `/v2/${ref.repository}/manifests/${ref.digest ?? ref.tag ?? 'latest'}`;

  const self: RegistryClient & Disposable = {
    async login(registry, credentials: Credentials, request = {}) {
      const base = await baseOf(registry, request.signal);
      const host = new URL(base).host;
      const response = await call({ method: 'GET', base, path: '/v2/', scope: '' }, { ...request, credentials });
      if (response.statusCode !== 200) throw await responseError(`login to ${registry} failed`, host, response);
      response.resume();
      const identityToken = calls.identityTokenOf(host, credentials);
      return identityToken === undefined ? {} : { identityToken };
    },

    hasMirrors: (registry) => hosts.mirrorsOf(registry).length > 0,

    async getManifest(ref, request = {}) {
      const { response, host } = await readFrom(ref, 'GET', manifestPath(ref), { accept }, request);
      if (response.statusCode !== 200) {
        const how = response.statusCode === 404 ? 'not found' : 'not readable';
        throw await responseError(`manifest for ${familiarReference(ref)} ${how}`, host, response);
      }
      const bytes = await bodyOf(response);
      const expected = ref.digest;
      const algorithm = expected === undefined ? 'sha256' : parseDigest(expected).algorithm;
      const digest = `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
      const fromMirror = !request.passMirrors && self.hasMirrors(ref.registry);
      if (expected !== undefined && digest !== expected && fromMirror)
        return await self.getManifest(ref, { ...request, passMirrors: true });
      if (expected !== undefined && digest !== expected)
        throw new GantryError('corrupt', `${host} answered manifest ${digest} where ${expected} was asked`, {
          code: 'digest-mismatch',
        });
      const mediaType = (response.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
      const rateLimit = rateLimitOf(response);
      return { mediaType, digest, bytes, host, ...(rateLimit === undefined ? {} : { rateLimit }) };
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

    putBlob: (ref, blob, request = {}) => uploadBlob(calls, ref, blob, request),

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

    search: (term, request) => searchRepositories(calls, term, request),

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
