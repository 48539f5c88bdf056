import { once } from 'node:events';
import { duplexPair, type Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { BuildEvent, BuildRequest, CacheRecord, PruneRequest } from '#builder/index.ts';
import { GantryError } from '#errors/index.ts';
import { buildRequestOf, credentialsByHost } from './build-request.ts';
import { type ClientSessions, createClientSessions } from './build-sessions.ts';
import type { ApiDeps } from './deps.ts';
import { progressLine } from './images-api.ts';
import { filters, flag, integer, type Query, refuseFilters } from './query.ts';
import { clientSignal, jsonLines } from './streams.ts';

interface SessionRoute {
  Params: { session: string; name: string };
  Body: Readable;
}

const mostSecret = 500 * 1024;

/**
 * POST /build: the classic builder's call (DOCKER_BUILDKIT=0), answered by our solver, and what the calls below
 * /gantry/build bring to it. Returned are the sessions, for agents come over connections that are taken over.
 */
export function buildApi(app: FastifyInstance, { builder, onError }: ApiDeps): ClientSessions {
  const sessions = createClientSessions(() => {
    const [near, far] = duplexPair();
    return { near, far };
  });

  app.post<{ Querystring: Query; Body: Readable }>('/build', async (request, reply) => {
    const { query, headers, body } = request;
    const tags = new URL(request.raw.url ?? '/', 'http://engine').searchParams.getAll('t');
    const signal = clientSignal(reply);
    const client = query.gantrysession ? sessions.get(query.gantrysession) : undefined;
    const session = client === undefined ? undefined : { client, signal };
    let build: BuildRequest;
    try {
      if (query.version === '2')
        throw new GantryError('unsupported', 'BuildKit sessions are not supported yet; set DOCKER_BUILDKIT=0');
      build = buildRequestOf(query, body, tags, credentialsByHost(headers['x-registry-config']), session);
      if (build.output === 'rootfs' && client === undefined)
        throw new GantryError('unsupported', 'an output of files needs a session, which `gantry build` opens');
    } catch (error) {
      await drain(body);
      throw error;
    }
    const quiet = flag(query.q);
    const wantsSteps = flag(query.steps);
    return jsonLines(reply, async (send) => {
      try {
        const { imageId } = await builder.build(build, {
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

  app.post<SessionRoute & { Body: Record<string, string> }>(
    '/gantry/build/:session/secrets',
    async (request, reply) => {
      const secrets = Object.entries(request.body).map(([id, text]) => [id, Buffer.from(text, 'base64')] as const);
      for (const [id, { length }] of secrets)
        if (length > mostSecret)
          throw new GantryError('invalid', `secret ${id} has ${length} bytes; at most ${mostSecret} are taken`);
      sessions.get(request.params.session).secrets = Object.fromEntries(secrets);
      return reply.code(204).send();
    },
  );
  app.post<SessionRoute>('/gantry/build/:session/contexts/:name', async ({ params, body }, reply) => {
    await sessions.get(params.session).receive(params.name, body);
    return reply.code(204).send();
  });
  app.get<SessionRoute>('/gantry/build/:session/outputs/:name', async ({ params }, reply) =>
    reply.type('application/x-tar').send(await sessions.get(params.session).collect(params.name)),
  );

  app.get<{ Querystring: Query }>('/gantry/build/mount', async ({ query }, reply) => {
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
  app.post<{ Querystring: Query; Body: Readable }>('/gantry/build/mount', async ({ query, body }, reply) => {
    await builder.importMount(query.id ?? '', body, clientSignal(reply));
    return reply.code(204).send();
  });

  app.post<{ Querystring: Query }>('/build/prune', async ({ query }) => {
    const removed = await builder.prune(pruneRequestOf(query));
    return {
      CachesDeleted: removed.map(({ id }) => id),
      SpaceReclaimed: removed.reduce((sum, { size }) => sum + size, 0),
    };
  });
  app.get('/gantry/build/cache', async () => (await builder.usage()).map(cacheRecord));
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

/** As GET /system/df has them (Engine API: BuildCache). */
export const cacheRecord = ({ id, type, size, used, inUse }: CacheRecord) => ({
  ID: id,
  Parents: null,
  Type: type,
  Description: type === 'regular' ? 'files of a stage that no image is made of' : 'a cache mount',
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
  refuseFilters(wanted, ['until', 'unused-for', 'id', 'type']);
  const [age] = [...(wanted.get('until') ?? []), ...(wanted.get('unused-for') ?? [])];
  const types = wanted.get('type') ?? (flag(query.all) ? undefined : ['regular']);
  const ids = wanted.get('id');
  for (const type of types ?? [])
    if (type !== 'regular' && type !== 'exec.cachemount')
      throw new GantryError('invalid', `type "${type}" is not known; it is regular or exec.cachemount`);
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
