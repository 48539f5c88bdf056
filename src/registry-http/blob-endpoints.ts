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
    const repository = access.toPull(caller, name);
    if (mirrors.covers(name)) await mirrors.blob(caller, name, digest);
    const { size } = blobs.stat(repository, digest);
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
    if (range !== undefined) reply.code(206).header('content-range', `bytes ${range.start}-${range.end}/${size}`);
    if (size === 0) return reply.send('');
    await sendBlob(reply, blobs.file(repository, digest), range?.start ?? 0, range?.end ?? size - 1);
    return reply;
  };
  return {
    GET: read,
    HEAD: read,
    DELETE({ path: { name, digest }, caller, reply }) {
      blobs.unlink(access.toDelete(caller, name), digest);
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
