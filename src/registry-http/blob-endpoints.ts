import { GantryError } from '#errors/index.ts';
import type { HubDeps } from './deps.ts';
import { createBlobSender } from './send-blob.ts';
import { isFresh, type V2Endpoint, type V2Handler } from './v2-call.ts';

/** Reading and deleting blobs (distribution-spec: pulling blobs, deleting blobs). */
export function blobEndpoint({
  access,
  blobs,
  mirrors,
}: Pick<HubDeps, 'access' | 'blobs' | 'mirrors'>): V2Endpoint<'blob'> {
  const sendBlob = createBlobSender();
  const read: V2Handler<'blob'> = async ({ path: { name, digest }, caller, request, reply }) => {
    const repository = await access.toPull(caller, name);
    if (await mirrors.covers(name)) await mirrors.blob(caller, name, digest);
    const { size } = await blobs.stat(repository, digest);
    reply
      .header('docker-content-digest', digest)
      .header('etag', `"${digest}"`)
      .header('accept-ranges', 'bytes')
      .header('content-type', 'application/octet-stream');
    if (isFresh(request, digest)) return reply.code(304).send();
    const range = request.method === 'GET' ? parseRange(request.headers.range, size) : undefined;
    if (range === 'unsatisfiable') {
      reply.header('content-range', `bytes */${size}`);
      throw new GantryError('invalid', `${digest} has ${size} bytes; ${request.headers.range} is beyond them`, {
        code: 'range-unsatisfiable',
      });
    }
    reply.header('content-length', range === undefined ? size : range.end - range.start + 1);
    if (request.method === 'HEAD') return reply.send();
    if (size === 0) return reply.send('');
    const [start, end] = [range?.start ?? 0, range?.end ?? size - 1];
    const place = await blobs.place(repository, digest);
    if (range !== undefined && place.kind !== 'url')
      reply.code(206).header('content-range', `bytes ${start}-${end}/${size}`);
    switch (place.kind) {
      case 'file':
        await sendBlob(reply, place.path, start, end);
        return reply;
      case 'url':
        // Good for a while, and for whoever has it: nobody between may keep it.
        return reply.removeHeader('content-length').header('cache-control', 'no-store').redirect(place.url, 307);
      case 'stream': {
        const gone = new AbortController();
        reply.raw.once('close', () => gone.abort());
        return reply.send(await place.open(start, end, gone.signal));
      }
    }
  };
  return {
    GET: read,
    HEAD: read,
    async DELETE({ path: { name, digest }, caller, reply }) {
      await blobs.unlink(await access.toDelete(caller, name), digest);
      return reply.code(202).send();
    },
  };
}

/** One byte range, first and last inclusive (RFC 9110 §14.1.2). Several, or another unit, are answered with the whole. */
export function parseRange(
  header: string | undefined,
  size: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.replaceAll(' ', '') ?? '');
  if (match === null) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const count = Math.min(Number(last), size);
    return count === 0 ? 'unsatisfiable' : { start: size - count, end: size - 1 };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= size) return 'unsatisfiable';
  return { start, end: last === '' ? size - 1 : Math.min(Number(last), size - 1) };
}
