import { type Readable, Transform } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { GantryError, isGantryError, throwIfAborted } from '#errors/index.ts';
import { familiarReference, type Reference } from '#oci/index.ts';
import { pullScope, type RegistryCalls } from './registry-calls.ts';
import type { BlobSource, RequestOptions } from './registry-client.ts';
import { responseError } from './response-error.ts';

/** A blob larger than this goes in pieces of it, so that a cut costs a piece at most. */
export const chunkBytes = 16 << 20;
const tries = 5;
const empty = { 'content-length': '0' };

export interface UploadOptions extends RequestOptions {
  readonly mountFrom?: readonly string[];
  readonly onProgress?: (bytes: number) => void;
}

export const pushScope = ({ repository }: Reference, from?: string): string =>
  `repository:${repository}:pull,push${from === undefined ? '' : ` ${pullScope({ registry: '', repository: from })}`}`;

const uploadsPath = ({ repository }: Reference) => `/v2/${repository}/blobs/uploads/`;

/**
 * Brings a blob to a registry (distribution-spec: pushing blobs): not where it is, from another repository where it can be
 * mounted, else by an upload. A large one goes in chunks, and what a broken connection lost is sent again from where the
 * registry says it has it.
 */
export async function uploadBlob(
  { call, baseOf }: RegistryCalls,
  ref: Reference,
  blob: BlobSource,
  options: UploadOptions,
): Promise<{ how: 'existed' | 'mounted' | 'uploaded'; from?: string }> {
  const base = await baseOf(ref.registry, options.signal);
  const host = new URL(base).host;
  const scope = pushScope(ref);
  const head = await call({ method: 'HEAD', base, path: `/v2/${ref.repository}/blobs/${blob.digest}`, scope }, options);
  head.resume();
  if (head.statusCode === 200) return { how: 'existed' };

  const begin = async (): Promise<string> => {
    const response = await call({ method: 'POST', base, path: uploadsPath(ref), scope, headers: empty }, options);
    if (response.statusCode !== 202)
      throw await responseError(`cannot push to ${familiarReference(ref)}`, host, response);
    response.resume();
    const { location } = response.headers;
    if (location !== undefined) return location;
    throw new GantryError('unavailable', `${host} began an upload without a Location`);
  };
  /** Tries the sources of a mount in turn; one that cannot be read is passed over. */
  const mount = async (): Promise<{ from?: string; location?: string }> => {
    let location: string | undefined;
    for (const from of options.mountFrom ?? []) {
      if (location !== undefined) {
        const path = new URL(location, `${base}${uploadsPath(ref)}`);
        (await call({ method: 'DELETE', base, path, scope }, options)).resume();
        location = undefined;
      }
      const path = `${uploadsPath(ref)}?mount=${encodeURIComponent(blob.digest)}&from=${encodeURIComponent(from)}`;
      try {
        const response = await call(
          { method: 'POST', base, path, scope: pushScope(ref, from), headers: empty },
          options,
        );
        response.resume();
        if (response.statusCode === 201) return { from };
        if (response.statusCode === 202) location = response.headers.location;
      } catch (error) {
        if (!isGantryError(error, 'unauthorized') && !isGantryError(error, 'forbidden')) throw error;
      }
    }
    return location === undefined ? {} : { location };
  };
  const mounted = await mount();
  if (mounted.from !== undefined) return { how: 'mounted', from: mounted.from };

  let url = new URL(mounted.location ?? (await begin()), `${base}${uploadsPath(ref)}`);
  let offset = 0;
  const body = (start: number, length: number) => async (): Promise<Readable> => {
    let sent = start;
    const source = await blob.open({ start, end: start + length - 1 });
    const counted = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        sent += chunk.length;
        options.onProgress?.(sent);
        done(null, chunk);
      },
    });
    source.once('error', (error) => counted.destroy(error));
    counted.once('close', () => source.destroy());
    return source.pipe(counted);
  };
  /** One request: the next chunk, or what is left together with the end. */
  const sendNext = async (): Promise<boolean> => {
    const length = Math.min(chunkBytes, blob.size - offset);
    const last = offset + length === blob.size;
    const path = new URL(url);
    if (last) path.searchParams.set('digest', blob.digest);
    const ranged = offset > 0 || !last;
    const headers = {
      'content-type': 'application/octet-stream',
      'content-length': String(length),
      ...(ranged && length > 0 ? { 'content-range': `${offset}-${offset + length - 1}` } : {}),
    };
    const request = { method: last ? ('PUT' as const) : ('PATCH' as const), base, path, scope, headers };
    const response = await call({ ...request, body: length === 0 ? Buffer.alloc(0) : body(offset, length) }, options);
    if (response.statusCode === 416) {
      // Bytes of a request that broke off may have come in after we asked.
      response.resume();
      throw new GantryError('unavailable', `${host} has another part of ${blob.digest} than it said`);
    }
    if (response.statusCode !== (last ? 201 : 202))
      throw await responseError(`cannot push ${blob.digest}`, host, response);
    response.resume();
    offset += length;
    url = new URL(response.headers.location ?? url, url);
    return last;
  };
  /** Asks how much has arrived; an upload that the registry forgot is begun anew. */
  const takeUp = async (): Promise<void> => {
    const response = await call({ method: 'GET', base, path: url, scope }, options);
    response.resume();
    const range = /^(?:bytes=)?0-(\d+)$/.exec(response.headers.range ?? '')?.[1];
    if (response.statusCode === 204 && (range !== undefined || response.headers.range !== undefined)) {
      offset = range === undefined || range === '0' ? 0 : Number(range) + 1;
      url = new URL(response.headers.location ?? url, url);
    } else {
      offset = 0;
      url = new URL(await begin(), `${base}${uploadsPath(ref)}`);
    }
  };
  for (let attempt = 1; ; ) {
    const before = offset;
    try {
      if (await sendNext()) return { how: 'uploaded' };
      attempt = 1;
    } catch (error) {
      throwIfAborted(options.signal);
      if (!isGantryError(error, 'unavailable') || attempt >= tries) throw error;
      await pause(100 * 2 ** attempt, options.signal);
      await takeUp().catch((again: unknown) => {
        if (!isGantryError(again, 'unavailable')) throw again;
      });
      attempt = offset > before ? 1 : attempt + 1;
    }
  }
}

const pause = (milliseconds: number, signal: AbortSignal | undefined): Promise<void> =>
  delay(milliseconds, undefined, signal === undefined ? {} : { signal }).catch(() => throwIfAborted(signal));
