import type { FastifyReply, FastifyRequest } from 'fastify';
import { GantryError, isGantryError } from '#errors/index.ts';
import type { PushTarget, Repository, Upload } from '#registry/index.ts';
import type { HubDeps } from './deps.ts';
import type { V2Call, V2Endpoint, V2Request } from './v2-call.ts';

type Deps = Pick<HubDeps, 'access' | 'blobs' | 'uploads'>;

/** Beginning an upload: whole in one POST, by a mount, or as a session (distribution-spec: pushing blobs). */
export function uploadsEndpoint({ access, blobs, uploads }: Deps): V2Endpoint<'uploads'> {
  /** The repository to mount from; undefined where the caller cannot read it, which is answered as if it were not there. */
  const mountSource = async (call: V2Request, from: string): Promise<Repository | undefined> => {
    try {
      return await access.toPull(call.caller, from);
    } catch (error) {
      if (isGantryError(error)) return undefined;
      throw error;
    }
  };
  const tryMount = async (call: V2Request, target: PushTarget): Promise<string | undefined> => {
    const digest = call.query.get('mount');
    if (digest === null) return undefined;
    const from = call.query.get('from');
    const source = from === null ? undefined : await mountSource(call, from);
    if (from !== null && source === undefined) return undefined;
    return (await blobs.mount(call.caller, target, digest, source)) ? digest : undefined;
  };
  return {
    async POST(call) {
      const { path, query, caller, request, reply } = call;
      const target = await access.toPush(caller, path.name);
      const mounted = await tryMount(call, target);
      if (mounted !== undefined) return created(reply, target, mounted);
      const digest = query.get('digest');
      const upload = await uploads.begin(target);
      if (digest === null) return accepted(reply, upload, 0);
      try {
        await uploads.append(upload, request.raw, exactLength(request));
        await uploads.finish(upload, digest);
      } catch (error) {
        await uploads.drop(upload).catch(ignoreGone);
        throw error;
      }
      return created(reply, target, digest);
    },
  };
}

/** Going on with an upload: where it stands, more bytes, the end, or none of it. */
export function uploadEndpoint({ access, uploads }: Deps): V2Endpoint<'upload'> {
  const find = async ({ caller, path }: V2Call<'upload'>) =>
    uploads.find(await access.toPush(caller, path.name), path.id);
  return {
    async GET(call) {
      const upload = await find(call);
      return progress(call.reply.code(204), upload, await uploads.offset(upload)).send();
    },
    async PATCH(call) {
      const upload = await find(call);
      return accepted(call.reply, upload, await uploads.append(upload, call.request.raw, contentRange(call.request)));
    },
    async PUT(call) {
      const upload = await find(call);
      const digest = call.query.get('digest');
      if (digest === null)
        throw new GantryError('invalid', 'the upload is closed with ?digest=…, which is not there', {
          code: 'digest-invalid',
        });
      if (hasBody(call.request)) await uploads.append(upload, call.request.raw, contentRange(call.request));
      await uploads.finish(upload, digest);
      return created(call.reply, upload.target, digest);
    },
    async DELETE(call) {
      await uploads.drop(await find(call));
      return call.reply.code(204).send();
    },
  };
}

const created = (reply: FastifyReply, target: PushTarget, digest: string) =>
  reply
    .code(201)
    .header('location', `/v2/${target.name}/blobs/${digest}`)
    .header('docker-content-digest', digest)
    .send();

const accepted = (reply: FastifyReply, upload: Upload, offset: number) =>
  progress(reply.code(202), upload, offset).send();

/** `Range` ends at the last byte that is there; for an empty upload that is, by custom, 0-0. */
const progress = (reply: FastifyReply, { id, target }: Upload, offset: number) =>
  reply
    .header('location', `/v2/${target.name}/blobs/uploads/${id}`)
    .header('docker-upload-uuid', id)
    .header('range', uploadRange(offset));

export const uploadRange = (offset: number): string => `0-${Math.max(0, offset - 1)}`;

const hasBody = ({ headers }: FastifyRequest): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/** A body of known length is whole or worthless. */
const exactLength = ({ headers }: FastifyRequest): { start: number; end: number } | undefined =>
  headers['content-length'] === undefined ? undefined : { start: 0, end: Number(headers['content-length']) - 1 };

/** `Content-Range: <first>-<last>`, with or without the unit and size that RFC 9110 writes. @throws GantryError invalid */
export function contentRange({ headers }: Pick<FastifyRequest, 'headers'>): { start: number; end: number } | undefined {
  const header = headers['content-range'];
  if (header === undefined) return undefined;
  const match = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(header);
  const range = { start: Number(match?.[1]), end: Number(match?.[2]) };
  if (match === null || range.end < range.start)
    throw new GantryError('invalid', `Content-Range "${header}" is not <first>-<last>`, { code: 'upload-invalid' });
  const length = headers['content-length'];
  if (length !== undefined && Number(length) !== range.end - range.start + 1)
    throw new GantryError('invalid', `Content-Range ${header} and Content-Length ${length} differ`, {
      code: 'size-invalid',
    });
  return range;
}

const ignoreGone = (error: unknown): void => {
  if (!isGantryError(error, 'not-found')) throw error;
};
