import { GantryError, isGantryError } from '#errors/index.ts';
import { type CreateBody, containerOptionsOf } from './container-create.ts';
import { containerFilters, containerTest } from './container-filters.ts';
import { inspectionOf, type Sizes, summaryOf } from './container-shapes.ts';
import { containerUpdateOf, type UpdateBody } from './container-update.ts';
import type { ApiDeps } from './deps.ts';
import { filtersOf, json, type Operation, type Routes, tar } from './operation.ts';
import { platformOf } from './platform-query.ts';
import { psColumns } from './ps-columns.ts';
import { filters, integer as integerOf, flag as isSet, type Query } from './query.ts';
import * as schema from './schema/container.ts';
import { flag, integer, list, number, object, text } from './schema/schema.ts';

interface Route {
  Params: { id: string };
  Querystring: Query;
}

const listRoute: Operation = {
  id: 'ContainerList',
  method: 'GET',
  path: '/containers/json',
  summary: 'List containers',
  query: {
    all: flag('Also those that do not run'),
    limit: integer('The newest so many, running or not'),
    size: flag('With SizeRw and SizeRootFs'),
    filters: filtersOf(...containerFilters),
  },
  answers: { 200: json(list(schema.containerSummary)) },
};

const create: Operation = {
  id: 'ContainerCreate',
  method: 'POST',
  path: '/containers/create',
  summary: 'Create a container',
  query: {
    name: text('Absent: a name is made up'),
    platform: { ...text('os/architecture[/variant]: a 404 where the image is for another'), since: '1.41' },
  },
  body: json(schema.createBody),
  answers: { 201: json(schema.containerCreated) },
};

const inspect: Operation = {
  id: 'ContainerInspect',
  method: 'GET',
  path: '/containers/{id}/json',
  summary: 'All of one container',
  query: { size: flag('With SizeRw and SizeRootFs') },
  answers: { 200: json(schema.containerInspect) },
};

const update: Operation = {
  id: 'ContainerUpdate',
  method: 'POST',
  path: '/containers/{id}/update',
  summary: 'Change limits and the restart policy, of a running container at once',
  body: json(schema.updateBody),
  answers: { 200: json(schema.containerUpdated) },
};

/** An operation on one container that answers nothing. */
const act = (
  id: string,
  action: string,
  summary: string,
  more: Partial<Pick<Operation, 'query' | 'answers'>> = {},
): Operation => ({
  id,
  method: 'POST',
  path: `/containers/{id}/${action}`,
  summary,
  answers: { 204: null },
  ...more,
});

const stopQuery = {
  signal: { ...text('In place of the container’s own'), since: '1.42' },
  t: integer('Seconds until it is killed; -1: never'),
};

const remove: Operation = {
  id: 'ContainerDelete',
  method: 'DELETE',
  path: '/containers/{id}',
  summary: 'Remove a container',
  query: {
    v: flag('With its volumes that have no name'),
    force: flag('Also one that runs'),
    link: flag('Only a link; not supported'),
  },
  answers: { 204: null },
};

const top: Operation = {
  id: 'ContainerTop',
  method: 'GET',
  path: '/containers/{id}/top',
  summary: 'Processes of a container',
  query: { ps_args: text('-ef, or -o with a list of columns') },
  answers: { 200: json(schema.topResponse) },
};

const changes: Operation = {
  id: 'ContainerChanges',
  method: 'GET',
  path: '/containers/{id}/changes',
  summary: 'What a container changed of its image',
  answers: { 200: json(list(schema.fileChange)) },
};

const exportRoute: Operation = {
  id: 'ContainerExport',
  method: 'GET',
  path: '/containers/{id}/export',
  summary: 'The root filesystem as an archive',
  answers: { 200: tar },
};

const spans: Operation = {
  id: 'GantryContainerSpans',
  method: 'GET',
  path: '/gantry/containers/{id}/spans',
  summary: 'The steps of the last start',
  answers: {
    200: json(list(object({ name: text(), startMs: number(), durationMs: number(), made: list(text()) }))),
  },
};

/** /containers and what hangs under it, except streams (container-streams-api.ts), execs and archives. */
export function containersApi(routes: Routes, { containers, images, storage, host }: ApiDeps): void {
  const sources = { container: containers.get, image: images.get };

  routes.add<Route>(listRoute, async ({ query }) => {
    const wanted = filters(query.filters);
    const limit = integerOf('limit', query.limit) ?? 0;
    const all = isSet(query.all) || wanted.has('status') || limit > 0;
    const fits = await containerTest(wanted, sources);
    const rows = containers
      .list()
      .filter((c) => all || ['running', 'paused', 'restarting'].includes(c.state.status))
      .filter(fits)
      .toSorted((a, b) => b.created.localeCompare(a.created));
    const shown = limit > 0 ? rows.slice(0, limit) : rows;
    const sizes = isSet(query.size) ? await storage.containerSizes(shown.map(({ id }) => id)) : undefined;
    return await Promise.all(shown.map(async (c) => summaryOf(c, sizes?.get(c.id), await manifestOf(c.imageId))));
  });
  const manifestOf = async (imageId: string) => (await images.get(imageId).catch(() => undefined))?.manifest;

  routes.add<Route & { Body: CreateBody }>(create, async ({ query, body }, reply) => {
    try {
      const { platform } = platformOf(query.platform);
      const { container, warnings } = await containers.create({
        ...containerOptionsOf(body, query.name),
        ...(platform === undefined ? {} : { platform }),
      });
      reply.code(201);
      return { Id: container.id, Warnings: warnings };
    } catch (error) {
      // A 404 means a missing image here: Docker's client pulls and tries again. Nothing else may answer so.
      if (isGantryError(error, 'not-found') && !['image-not-found', 'no-platform'].includes(error.code))
        throw new GantryError('invalid', error.message, { code: error.code, cause: error });
      throw error;
    }
  });
  routes.add<Route>(inspect, async ({ params, query }) => {
    const container = containers.get(params.id);
    const sizes: Sizes | undefined = isSet(query.size)
      ? (await storage.containerSizes([container.id])).get(container.id)
      : undefined;
    return inspectionOf(container, host.storageDriver, {
      sizes,
      manifest: await manifestOf(container.imageId),
      execs: containers.execsOf(container.id),
    });
  });
  routes.add<Route & { Body: UpdateBody }>(update, async ({ params, body }) => {
    const { warnings } = await containers.update(params.id, containerUpdateOf(body));
    return { Warnings: warnings };
  });
  routes.add<Route>(
    act('ContainerStart', 'start', 'Start a container; 304 where it runs', {
      query: { detachKeys: text() },
      answers: { 204: null, 304: null },
    }),
    async ({ params }, reply) => reply.code((await containers.start(params.id)) ? 204 : 304).send(),
  );
  const stopOptions = ({ t, signal }: Query) => {
    const seconds = integerOf('t', t);
    return {
      ...(seconds === undefined ? {} : { timeoutSeconds: seconds }),
      ...(signal ? { signal } : {}),
    };
  };
  routes.add<Route>(
    act('ContainerStop', 'stop', 'Stop a container; 304 where it does not run', {
      query: stopQuery,
      answers: { 204: null, 304: null },
    }),
    async ({ params, query }, reply) =>
      reply.code((await containers.stop(params.id, stopOptions(query))) ? 204 : 304).send(),
  );
  routes.add<Route>(
    act('ContainerRestart', 'restart', 'Stop a container and start it again', { query: stopQuery }),
    async ({ params, query }, reply) => {
      await containers.restart(params.id, stopOptions(query));
      return reply.code(204).send();
    },
  );
  routes.add<Route>(
    act('ContainerKill', 'kill', 'Send a signal', { query: { signal: text('A name or number; absent: KILL') } }),
    async ({ params, query }, reply) => {
      await containers.kill(params.id, query.signal || 'KILL');
      return reply.code(204).send();
    },
  );
  routes.add<Route>(act('ContainerPause', 'pause', 'Freeze all processes'), async ({ params }, reply) => {
    await containers.pause(params.id);
    return reply.code(204).send();
  });
  routes.add<Route>(act('ContainerUnpause', 'unpause', 'Let them go on'), async ({ params }, reply) => {
    await containers.unpause(params.id);
    return reply.code(204).send();
  });
  routes.add<Route>(
    act('ContainerRename', 'rename', 'Give another name', { query: { name: text('The new one') } }),
    async ({ params, query }, reply) => {
      await containers.rename(params.id, (query.name ?? '').replace(/^\//, ''));
      return reply.code(204).send();
    },
  );
  routes.add<Route>(
    act('ContainerResize', 'resize', 'Set the size of the terminal', {
      query: { h: integer('Rows'), w: integer('Columns') },
      answers: { 200: null },
    }),
    async ({ params, query }) => {
      await containers.resize(params.id, sizeOf(query));
      return '';
    },
  );
  routes.add<Route>(remove, async ({ params, query }, reply) => {
    if (isSet(query.link))
      throw new GantryError('unsupported', 'removing a link (--link) is not supported: links go with their container');
    await containers.remove(params.id, { force: isSet(query.force), volumes: isSet(query.v) });
    return reply.code(204).send();
  });
  routes.add<Route>(top, async ({ params, query }) => {
    const columns = psColumns(query.ps_args);
    const rows = await containers.top(params.id);
    return {
      Titles: columns.map(({ title }) => title),
      Processes: rows.map((row) => columns.map(({ show }) => show(row))),
    };
  });
  routes.add<Route>(changes, async ({ params }) =>
    (await containers.changes(params.id)).map(({ path, kind }) => ({
      Path: path,
      Kind: { modified: 0, added: 1, deleted: 2 }[kind],
    })),
  );
  routes.add<Route>(exportRoute, async ({ params }, reply) =>
    reply.type('application/x-tar').send(await containers.export(params.id)),
  );
  routes.add<Route>(spans, async ({ params }) => containers.spans(params.id));
}

/** @throws GantryError invalid where rows or columns are missing or no sizes */
export function sizeOf({ h, w }: Query): { rows: number; columns: number } {
  const [rows, columns] = [integerOf('h', h), integerOf('w', w)];
  if (rows === undefined || columns === undefined || rows < 0 || columns < 0 || rows > 65535 || columns > 65535)
    throw new GantryError('invalid', `invalid terminal size h="${h ?? ''}" w="${w ?? ''}"; give rows and columns`);
  return { rows, columns };
}
