import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { AwsV4Signer } from 'aws4fetch';
import { GantryError, messageOf } from '#errors/index.ts';

/** A bucket of a store that speaks Amazon's S3 protocol, addressed by path: `<endpoint>/<bucket>/<key>`. */
export interface S3Options {
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** What the hub needs of a bucket. Every method throws GantryError unavailable where the store does not do it. */
export interface S3Objects {
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** Its size; undefined where it is not there. */
  size(key: string): Promise<number | undefined>;
  /** From the byte `start` to `end`, both inclusive. @throws GantryError not-found */
  get(key: string, options?: { start?: number; end?: number; signal?: AbortSignal }): Promise<Readable>;
  /** Idempotent. */
  delete(key: string): Promise<void>;
  list(prefix: string): AsyncIterable<{ readonly key: string; readonly modified: number }>;
  /** An object in parts, of which all but the last have 5 MiB or more; nothing is visible before `complete`. */
  begin(key: string): Promise<string>;
  /** Its ETag, which `complete` wants. */
  part(key: string, upload: string, number: number, bytes: Uint8Array): Promise<string>;
  /** @throws GantryError not-found where the upload is complete or gone */
  complete(key: string, upload: string, parts: readonly { number: number; etag: string }[]): Promise<void>;
  /** Idempotent. */
  abort(key: string, upload: string): Promise<void>;
  /** A URL by which anyone gets it for some minutes. */
  url(key: string): Promise<string>;
  /** @throws where the bucket cannot be used */
  check(): Promise<void>;
}

/** How long a URL is good: a client follows it at once, and a large transfer needs it only at its beginning. */
const urlSeconds = 20 * 60;
const attempts = 4;
const firstWait = 50;

type Method = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
interface Ask {
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

/** @throws GantryError invalid for an endpoint that is no URL */
export function createS3Objects({ endpoint, bucket, ...credentials }: S3Options): S3Objects {
  if (!URL.canParse(endpoint)) throw new GantryError('invalid', `the S3 endpoint "${endpoint}" is not a URL`);
  const urlOf = (key: string, query: Readonly<Record<string, string>> = {}): URL => {
    const url = new URL(`${endpoint.replace(/\/+$/, '')}/${bucket}/${key}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url;
  };

  const attempt = async (method: Method, key: string, { query, headers, body, signal }: Ask): Promise<Response> => {
    const signer = new AwsV4Signer({
      ...credentials,
      service: 's3',
      method,
      url: urlOf(key, query).href,
      headers: {
        ...headers,
        // The store compares what it got with what was signed.
        'x-amz-content-sha256': createHash('sha256')
          .update(body ?? '')
          .digest('hex'),
      },
    });
    const signed = await signer.sign();
    return await fetch(signed.url, {
      method,
      headers: signed.headers,
      redirect: 'error',
      ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
      ...(signal === undefined ? {} : { signal }),
    });
  };
  /** Tries again where the store is busy or the connection broke; each of these requests may be repeated. */
  const ask = async (method: Method, key: string, options: Ask = {}): Promise<Response> => {
    for (let tried = 1; ; tried++) {
      try {
        const response = await attempt(method, key, options);
        if (tried === attempts || (response.status < 500 && response.status !== 429)) return response;
        await response.body?.cancel();
      } catch (error) {
        if (tried === attempts || options.signal?.aborted)
          throw new GantryError('unavailable', `the object store does not answer: ${messageOf(error)}`, {
            cause: error,
          });
      }
      await new Promise((done) => setTimeout(done, firstWait * 2 ** tried));
    }
  };
  const refused = async (what: string, response: Response): Promise<GantryError> => {
    const code = tag(await response.text(), 'Code') ?? '';
    return response.status === 404 && code !== 'NoSuchBucket'
      ? new GantryError('not-found', `the object store has no ${what}`)
      : new GantryError('unavailable', `the object store did not ${what}: ${response.status} ${code}`.trimEnd());
  };
  /** The body of an answer that must be good. */
  const done = async (what: string, response: Response): Promise<string> => {
    if (!response.ok) throw await refused(what, response);
    return await response.text();
  };

  return {
    put: async (key, bytes) => void (await done(`take ${key}`, await ask('PUT', key, { body: bytes }))),
    async size(key) {
      const response = await ask('HEAD', key);
      if (response.status === 404) return undefined;
      await done(`tell of ${key}`, response);
      return Number(response.headers.get('content-length'));
    },
    async get(key, { start, end, signal } = {}) {
      const headers = start === undefined ? {} : { range: `bytes=${start}-${end ?? ''}` };
      const response = await ask('GET', key, { headers, signal });
      if (!response.ok || response.body === null) throw await refused(`give ${key}`, response);
      return Readable.fromWeb(response.body as ReadableStream);
    },
    async delete(key) {
      const response = await ask('DELETE', key);
      if (response.status !== 404) await done(`delete ${key}`, response);
    },
    async *list(prefix) {
      for (let token: string | undefined = ''; token !== undefined; ) {
        const query = { 'list-type': '2', prefix, ...(token === '' ? {} : { 'continuation-token': token }) };
        const xml = await done(`list ${prefix}`, await ask('GET', '', { query }));
        for (const [, entry = ''] of xml.matchAll(/<Contents>(.*?)<\/Contents>/gs))
          yield { key: tag(entry, 'Key') ?? '', modified: Date.parse(tag(entry, 'LastModified') ?? '') };
        token = tag(xml, 'NextContinuationToken');
      }
    },
    async begin(key) {
      const xml = await done(`begin ${key}`, await ask('POST', key, { query: { uploads: '' } }));
      const id = tag(xml, 'UploadId');
      if (id === undefined) throw new GantryError('unavailable', `the object store began ${key} without an UploadId`);
      return id;
    },
    async part(key, upload, number, bytes) {
      const query = { partNumber: String(number), uploadId: upload };
      const response = await ask('PUT', key, { query, body: bytes });
      await done(`take part ${number} of ${key}`, response);
      const etag = response.headers.get('etag');
      if (etag === null) throw new GantryError('unavailable', `the object store took part ${number} without an ETag`);
      return etag;
    },
    async complete(key, upload, parts) {
      const entries = parts.map(
        ({ number, etag }) => `<Part><PartNumber>${number}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`,
      );
      const body = Buffer.from(`<CompleteMultipartUpload>${entries.join('')}</CompleteMultipartUpload>`);
      const xml = await done(`complete ${key}`, await ask('POST', key, { query: { uploadId: upload }, body }));
      // It answers 200 before it has done it, and says at the end whether it has.
      if (/<Error>/.test(xml))
        throw new GantryError('unavailable', `the object store did not complete ${key}: ${tag(xml, 'Code') ?? ''}`);
    },
    async abort(key, upload) {
      const response = await ask('DELETE', key, { query: { uploadId: upload } });
      // A store that has no such request ends it by its own rule for uploads that are left.
      if (![404, 405, 501].includes(response.status)) await done(`abort ${key}`, response);
    },
    async url(key) {
      const url = urlOf(key, { 'X-Amz-Expires': String(urlSeconds) });
      const signer = new AwsV4Signer({ ...credentials, service: 's3', method: 'GET', url: url.href, signQuery: true });
      return (await signer.sign()).url.href;
    },
    check: async () => void (await done('answer for its bucket', await ask('HEAD', ''))),
  };
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
/** The text of the first element of a name: the answers are flat enough for that. */
const tag = (xml: string, name: string): string | undefined =>
  new RegExp(`<${name}>([^<]*)</${name}>`)
    .exec(xml)?.[1]
    ?.replace(/&(?:#(\d+)|(\w+));/g, (whole, code?: string, word?: string) =>
      code === undefined ? (entities[word ?? ''] ?? whole) : String.fromCodePoint(Number(code)),
    );
const escapeXml = (text: string): string => text.replace(/[&<>"]/g, (sign) => `&#${sign.codePointAt(0) ?? 0};`);
