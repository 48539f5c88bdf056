import { once } from 'node:events';
import { duplexPair, type Readable } from 'node:stream';
import type { BuildEvent, BuildRequest, CacheRecord, PruneRequest } from '#builder/index.ts';
import { GantryError } from '#errors/index.ts';
import { buildRequestOf, credentialsByHost } from './build-request.ts';
import { type ClientSessions, createClientSessions } from './build-sessions.ts';
import type { ApiDeps } from './deps.ts';
import { filtersOf, json, lines, type Operation, type Routes, tar } from './operation.ts';
import { progressLine } from './progress-line.ts';
import { filters, flag, integer, type Query } from './query.ts';
import { progressLine as progressLineSchema } from './schema/image.ts';
import { flag as boolean, list, map, integer as number, object, text } from './schema/schema.ts';
import { cachesPruned } from './schema/storage.ts';
import { buildCacheRecord } from './schema/system.ts';
import { clientSignal, jsonLines } from './streams.ts';

interface SessionRoute {
  Params: { session: string; name: string };
  Body: Readable;
}

const mostSecret = 500 * 1024;

const build: Operation = {
  id: 'ImageBuild',
  method: 'POST',
  path: '/build',
  summary: 'Build an image from the archive of a context',
  query: {
    dockerfile: text('Its path in the context'),
    t: text('name:tag of what is built; may come several times'),
    extrahosts: text('JSON: name:address'),
    remote: text('A context’s URL, in place of the body'),
    q: boolean('Only the id'),
    nocache: boolean(),
    nocachefilter: text('JSON: stages that are built anew'),
    cachefrom: text('JSON: images whose cache may be taken'),
    cacheto: text('JSON: where the cache is written'),
    pull: boolean('Look for newer base images'),
    rm: boolean('There are no intermediate containers'),
    forcerm: boolean('There are none'),
    memory: number('Bytes, of each step'),
    memswap: number('Bytes'),
    cpushares: number(),
    cpusetcpus: text(),
    cpusetmems: text(),
    cpuperiod: number('Microseconds'),
    cpuquota: number('Microseconds'),
    buildargs: text('JSON'),
    shmsize: number('Bytes'),
    ulimits: text('JSON'),
    squash: boolean('One layer on the base'),
    labels: text('JSON'),
    networkmode: text(),
    platform: text('One, or several by commas'),
    sbom: boolean('Attest what is installed'),
    provenance: text('Attest how it was built: min, max'),
    context: text('listed: the body has what a list before it left wanted'),
    target: text('The stage to build'),
    outputs: { ...text('JSON'), since: '1.40' },
    version: text('1; 2, BuildKit, is not supported'),
    check: boolean('Only the checks of the Dockerfile'),
    allow: text('JSON: entitlements'),
    contexts: text('JSON: named contexts'),
    ssh: text('JSON: names of agents'),
    steps: boolean('Lines of Gantry’s own, for its client'),
    gantrysession: text('What the client brings on calls of their own'),
  },
  body: tar,
  answers: { 200: lines(progressLineSchema) },
};

const prune: Operation = {
  id: 'BuildPrune',
  method: 'POST',
  path: '/build/prune',
  summary: 'Remove what is kept between builds',
  since: '1.31',
  query: {
    'keep-storage': number('Bytes that stay; the older name'),
    'reserved-space': number('Bytes that stay'),
    'max-used-space': number('Bytes that stay at most'),
    'min-free-space': number('Bytes that should be free'),
    all: boolean('Also cache mounts'),
    filters: filtersOf('until', 'unused-for', 'id', 'type'),
  },
  answers: { 200: json(cachesPruned) },
};

const sessionPath = (rest: string): string => `/gantry/build/{session}/${rest}`;
const secrets: Operation = {
  id: 'GantryBuildSecrets',
  method: 'POST',
  path: sessionPath('secrets'),
  summary: 'Secrets of a build, base64 by their ids',
  body: json(map(text())),
  answers: { 204: null },
};
const contexts: Operation = {
  id: 'GantryBuildContext',
  method: 'POST',
  path: sessionPath('contexts/{name}'),
  summary: 'A named context, or a cache',
  body: tar,
  answers: { 204: null },
};
const contextList: Operation = {
  id: 'GantryBuildContextList',
  method: 'POST',
  path: sessionPath('list'),
  summary: 'The list of a directory, and which of its files are wanted',
  query: { key: text('64 hexadecimal digits: a secret of the client’s, one for each directory') },
  body: tar,
  answers: { 200: json(object({ need: list(number()) })) },
};
const outputs: Operation = {
  id: 'GantryBuildOutput',
  method: 'GET',
  path: sessionPath('outputs/{name}'),
  summary: 'The files of --output',
  answers: { 200: tar },
};
const exportMount: Operation = {
  id: 'GantryCacheMountExport',
  method: 'GET',
  path: '/gantry/build/mount',
  summary: 'A cache mount as an archive',
  query: { id: text() },
  answers: { 200: tar },
};
const importMount: Operation = {
  id: 'GantryCacheMountImport',
  method: 'POST',
  path: '/gantry/build/mount',
  summary: 'A cache mount from an archive',
  query: { id: text() },
  body: tar,
  answers: { 204: null },
};
const cache: Operation = {
  id: 'GantryBuildCache',
  method: 'GET',
  path: '/gantry/build/cache',
  summary: 'What is kept between builds',
  answers: { 200: json(list(buildCacheRecord)) },
};

/**
 * POST /build: the classic builder's call (DOCKER_BUILDKIT=0), answered by our solver, and what the calls below
 * /gantry/build bring to it. Returned are the sessions, for agents come over connections that are taken over.
 */
export function buildApi(routes: Routes, { builder, events, onError }: ApiDeps): ClientSessions {
  const sessions = createClientSessions(() => {
    const [near, far] = duplexPair();
    return { near, far };
  });

  routes.add<{ Querystring: Query; Body: Readable }>(build, async (request, reply) => {
    const { query, headers, body } = request;
    const tags = new URL(request.raw.url ?? '/', 'http://engine').searchParams.getAll('t');
    const signal = clientSignal(reply);
    const client = query.gantrysession ? sessions.get(query.gantrysession) : undefined;
    const session = client === undefined ? undefined : { client, signal };
    let asked: BuildRequest;
    try {
      if (query.version === '2')
        throw new GantryError('unsupported', 'BuildKit sessions are not supported yet; set DOCKER_BUILDKIT=0');
      asked = buildRequestOf(query, body, tags, credentialsByHost(headers['x-registry-config']), session);
      if (asked.output === 'rootfs' && client === undefined)
        throw new GantryError('unsupported', 'an output of files needs a session, which `gantry build` opens');
    } catch (error) {
      await drain(body);
      throw error;
    }
    const quiet = flag(query.q);
    const wantsSteps = flag(query.steps);
    return jsonLines(reply, async (send) => {
      try {
        const { imageId } = await builder.build(asked, {
          signal,
          onOutput: (event) => {
            const line = lineOf(event, { quiet, wantsSteps });
            if (line !== undefined) send(line);
          },
          onRootfs: async (tar) => {
            await client?.deliver('files', tar, signal);
          },
          onCache: async (tar) => {
            await client?.deliver('cache', tar, signal);
          },
        });
        if (quiet && imageId !== '') send({ stream: `${imageId}\n` });
      } catch (error) {
        if (!(error instanceof GantryError)) onError(error, 'build');
        await drain(body);
        throw error;
      } finally {
        client?.close();
      }
    });
  });

  routes.add<SessionRoute & { Body: Record<string, string> }>(secrets, async (request, reply) => {
    const given = Object.entries(request.body).map(([id, text]) => [id, Buffer.from(text, 'base64')] as const);
    for (const [id, { length }] of given)
      if (length > mostSecret)
        throw new GantryError('invalid', `secret ${id} has ${length} bytes; at most ${mostSecret} are taken`);
    sessions.get(request.params.session).secrets = Object.fromEntries(given);
    return reply.code(204).send();
  });
  routes.add<SessionRoute>(contexts, async ({ params, body }, reply) => {
    await sessions.get(params.session).receive(params.name, body);
    return reply.code(204).send();
  });
  routes.add<SessionRoute & { Querystring: Query }>(contextList, async ({ params, query, body }) => {
    const session = sessions.get(params.session);
    if (!/^[0-9a-f]{64}$/.test(query.key ?? ''))
      throw new GantryError('invalid', 'the key of a context is 64 hexadecimal digits that nobody else knows');
    const offer = await builder.offerContext(query.key ?? '', body);
    session.offer(offer);
    return { need: offer.need };
  });
  routes.add<SessionRoute>(outputs, async ({ params }, reply) =>
    reply.type('application/x-tar').send(await sessions.get(params.session).collect(params.name)),
  );

  routes.add<{ Querystring: Query }>(exportMount, async ({ query }, reply) => {
    const signal = clientSignal(reply);
    await builder.exportMount(
      query.id ?? '',
      async (tar) => {
        const over = once(tar, 'close');
        reply.type('application/x-tar').send(tar);
        await over;
      },
      signal,
    );
    return reply;
  });
  routes.add<{ Querystring: Query; Body: Readable }>(importMount, async ({ query, body }, reply) => {
    await builder.importMount(query.id ?? '', body, clientSignal(reply));
    return reply.code(204).send();
  });

  routes.add<{ Querystring: Query }>(prune, async ({ query }) => {
    const removed = await builder.prune(pruneRequestOf(query));
    const reclaimed = removed.reduce((sum, { size }) => sum + size, 0);
    events.publish({ type: 'builder', action: 'prune', id: '', attributes: { reclaimed: String(reclaimed) } });
    return {
      CachesDeleted: removed.map(({ id }) => id),
      SpaceReclaimed: reclaimed,
    };
  });
  routes.add(cache, async () => (await builder.usage()).map(cacheRecord));
  return sessions;
}

/** Takes what is still sent of a body: a client that is cut off while it sends never reads why. */
async function drain(body: Readable): Promise<void> {
  if (body.readableEnded || body.destroyed) return;
  const over = Promise.withResolvers<void>();
  for (const event of ['end', 'close', 'error']) body.once(event, () => over.resolve());
  body.resume();
  await over.promise;
}

/** One event as a line of the answer; `step` lines are for clients of ours, which ask for them. */
function lineOf(event: BuildEvent, { quiet, wantsSteps }: { quiet: boolean; wantsSteps: boolean }): object | undefined {
  if ('aux' in event) return event;
  if ('step' in event) return wantsSteps ? event : undefined;
  if ('warning' in event) {
    if (wantsSteps) return event;
    const { rule, message, file, line } = event.warning;
    return quiet ? undefined : { stream: `[WARNING]: ${rule}: ${message} (${file}:${line})\n` };
  }
  if (quiet || wantsSteps) return undefined;
  return 'progress' in event ? progressLine(event.progress) : event;
}

const descriptions: Readonly<Record<CacheRecord['type'], string>> = {
  regular: 'a layer that no image has',
  'exec.cachemount': 'a cache mount',
  'source.local': 'a directory as a client sent it last',
};

/** As GET /system/df has them (Engine API: BuildCache). */
export const cacheRecord = ({ id, type, size, used, inUse }: CacheRecord) => ({
  ID: id,
  Parents: null,
  Type: type,
  Description: descriptions[type],
  InUse: inUse,
  Shared: false,
  Size: size,
  CreatedAt: used.toISOString(),
  LastUsedAt: used.toISOString(),
  UsageCount: 1,
});

/** @throws GantryError invalid, naming the filter */
function pruneRequestOf(query: Query): PruneRequest {
  const wanted = filters(query.filters);
  const [age] = [...(wanted.get('until') ?? []), ...(wanted.get('unused-for') ?? [])];
  const types = wanted.get('type') ?? (flag(query.all) ? undefined : ['regular', 'source.local']);
  const ids = wanted.get('id');
  for (const type of types ?? [])
    if (!(type in descriptions))
      throw new GantryError('invalid', `type "${type}" is not known; it is ${Object.keys(descriptions).join(', ')}`);
  const keep =
    integer('keep-storage', query['keep-storage']) ??
    integer('reserved-space', query['reserved-space']) ??
    integer('max-used-space', query['max-used-space']);
  return {
    ...(age === undefined ? {} : { unusedSince: agoOf(age) }),
    ...(types === undefined ? {} : { types: types as PruneRequest['types'] & object }),
    ...(ids === undefined ? {} : { ids }),
    ...(keep === undefined ? {} : { keepBytes: keep }),
  };
}

const seconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

/** `24h`, `1h30m`, seconds since 1970, or RFC 3339. */
function agoOf(text: string): Date {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)([smh])/g)];
  if (parts.length > 0 && parts.map(([whole]) => whole).join('') === text)
    return new Date(
      Date.now() - parts.reduce((sum, [, n, unit = '']) => sum + Number(n) * (seconds[unit] ?? 0), 0) * 1000,
    );
  const date = /^\d+$/.test(text) ? new Date(Number(text) * 1000) : new Date(text);
  if (Number.isNaN(date.getTime())) throw new GantryError('invalid', `until="${text}" is not a time; write 24h`);
  return date;
}
