import { Readable } from 'node:stream';
import type { PathStatus } from '#engine/index.ts';
import { GantryError } from '#errors/index.ts';
import type { ApiDeps } from './deps.ts';
import { type Operation, type Routes, tar as tarMedia } from './operation.ts';
import { flag, type Query } from './query.ts';
import { flag as boolean, text } from './schema/schema.ts';
import { clientSignal } from './streams.ts';

interface Route {
  Params: { id: string };
  Querystring: Query;
}

const statusHeader = 'X-Docker-Container-Path-Stat';

const path = text('In the container');

const archive = (
  id: string,
  method: Operation['method'],
  summary: string,
  rest: Pick<Operation, 'answers'> & Partial<Operation>,
): Operation => ({ id, method, path: '/containers/{id}/archive', summary, query: { path }, ...rest });

const stat = archive('ContainerArchiveInfo', 'HEAD', 'What a path is, in the header X-Docker-Container-Path-Stat', {
  answers: { 200: null },
});
const get = archive('ContainerArchive', 'GET', 'A file or directory as an archive', { answers: { 200: tarMedia } });
const put = archive('PutContainerArchive', 'PUT', 'Unpack an archive into a directory', {
  query: {
    path,
    noOverwriteDirNonDir: boolean('A directory is not replaced by what is none, nor the reverse'),
    copyUIDGID: boolean('All belongs to the container’s user'),
  },
  body: tarMedia,
  answers: { 200: null },
});

/** `docker cp`: /containers/{id}/archive. */
export function archiveApi(routes: Routes, { containers }: Pick<ApiDeps, 'containers'>): void {
  routes.add<Route>(stat, async ({ params, query }, reply) =>
    reply.header(statusHeader, encodeStatus(await containers.statPath(params.id, pathOf(query)))).send(),
  );
  routes.add<Route>(get, async ({ params, query }, reply) => {
    const { status, tar } = await containers.readArchive(params.id, pathOf(query));
    reply.raw.once('close', () => tar.destroy());
    return reply.header(statusHeader, encodeStatus(status)).type('application/x-tar').send(tar);
  });
  routes.add<Route & { Body: Readable | undefined }>(put, async ({ params, query, body }, reply) => {
    const upload = body ?? Readable.from([]);
    // The reader may leave early; the connection stays, for the answer.
    const tar = { [Symbol.asyncIterator]: () => upload.iterator({ destroyOnReturn: false }) };
    try {
      await containers.writeArchive(params.id, pathOf(query), tar, {
        ownByUser: flag(query.copyUIDGID),
        replaceKinds: !flag(query.noOverwriteDirNonDir),
        signal: clientSignal(reply),
      });
    } catch (error) {
      await passOver(upload);
      throw error;
    }
    return '';
  });
}

const mostPassedOver = 16 * 1024 * 1024;

/** Reads what is left of a refused upload, so that the client comes to read the answer; of a large one only a part. */
async function passOver(upload: Readable): Promise<void> {
  let left = mostPassedOver;
  for await (const chunk of upload.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    left -= chunk.length;
    if (left < 0) return;
  }
}

function pathOf({ path }: Query): string {
  if (path === undefined || path === '') throw new GantryError('invalid', 'bad parameter: the path is empty');
  return path;
}

/** Go's os.FileMode, which Docker's clients decode. */
const goMode: Readonly<Record<PathStatus['type'], number>> = {
  file: 0,
  directory: 2 ** 31,
  symlink: 2 ** 27,
  'block-device': 2 ** 26,
  'character-device': 2 ** 26 + 2 ** 21,
  fifo: 2 ** 25,
  socket: 2 ** 24,
  unknown: 2 ** 19,
};

function modeOf({ type, mode }: PathStatus): number {
  const bit = (mask: number, power: number) => ((mode & mask) === 0 ? 0 : 2 ** power);
  return goMode[type] + bit(0o4000, 23) + bit(0o2000, 22) + bit(0o1000, 20) + (mode & 0o777);
}

function encodeStatus(status: PathStatus): string {
  const { name, size, mtime, linkTarget } = status;
  const seconds = new Date(mtime.seconds * 1000).toISOString().slice(0, -'.000Z'.length);
  const time = `${seconds}.${String(mtime.nanoseconds).padStart(9, '0')}Z`;
  return Buffer.from(JSON.stringify({ name, size, mode: modeOf(status), mtime: time, linkTarget })).toString('base64');
}
