import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GantryError, isGantryError } from '#errors/index.ts';
import {
  type ExecStartBody,
  type OpenConnection,
  serveAttach,
  serveExec,
  startDetached,
  streamType,
} from './attach-streams.ts';
import { type CreateBody, containerOptionsOf } from './container-create.ts';
import { inspectionOf, summaryOf } from './container-shapes.ts';
import { containerUpdateOf, type UpdateBody } from './container-update.ts';
import type { ApiDeps } from './deps.ts';
import { psColumns } from './ps-columns.ts';
import { filters, flag, integer, labelsFit, pattern, type Query, refuseFilters, time } from './query.ts';
import { statsApi } from './stats-api.ts';
import { clientSignal, frame, write } from './streams.ts';

interface Route {
  Params: { id: string };
  Querystring: Query;
}

/** Streams as the bodies of request and reply. */
const asBody =
  (request: FastifyRequest, reply: FastifyReply): OpenConnection =>
  (raw) => {
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': streamType(raw) });
    reply.raw.flushHeaders();
    return { input: request.raw, output: reply.raw };
  };

/** /containers and what hangs under it. */
export function containersApi(app: FastifyInstance, deps: ApiDeps): void {
  const { containers, host, onError } = deps;
  statsApi(app, deps);
  app.get<Route>('/containers/json', async ({ query }) => {
    const wanted = filters(query.filters);
    const all = flag(query.all) || wanted.has('status') || query.limit !== undefined;
    const limit = integer('limit', query.limit);
    refuseFilters(wanted, ['id', 'name', 'status', 'label', 'ancestor']);
    if (flag(query.size)) throw new GantryError('unsupported', 'sizes of containers (size=1) are not supported yet');
    const names = wanted.get('name')?.map((name) => pattern(name.replace(/^\^?\//, '^')));
    const rows = containers
      .list()
      .filter(
        (c) => all || c.state.status === 'running' || c.state.status === 'paused' || c.state.status === 'restarting',
      )
      .filter(
        (c) =>
          (wanted.get('id')?.some((id) => c.id.startsWith(id)) ?? true) &&
          (names?.some((name) => name.test(c.name)) ?? true) &&
          (wanted.get('status')?.includes(c.state.status) ?? true) &&
          (wanted.get('ancestor')?.some((image) => image === c.imageName || c.imageId.includes(image)) ?? true) &&
          labelsFit(c.resolved.labels, wanted.get('label')),
      )
      .toSorted((a, b) => b.created.localeCompare(a.created));
    return (limit === undefined || limit <= 0 ? rows : rows.slice(0, limit)).map(summaryOf);
  });
  app.post<Route & { Body: CreateBody }>('/containers/create', async ({ query, body }, reply) => {
    try {
      const { container, warnings } = await containers.create(containerOptionsOf(body, query.name));
      return reply.code(201).send({ Id: container.id, Warnings: warnings });
    } catch (error) {
      // A 404 means a missing image here: Docker's client pulls and tries again. Nothing else may answer so.
      if (isGantryError(error, 'not-found') && error.code !== 'image-not-found')
        throw new GantryError('invalid', error.message, { code: error.code, cause: error });
      throw error;
    }
  });
  app.get<Route>('/containers/:id/json', async ({ params, query }) => {
    if (flag(query.size)) throw new GantryError('unsupported', 'sizes of containers (size=1) are not supported yet');
    return inspectionOf(containers.get(params.id), host.storageDriver);
  });
  app.post<Route & { Body: UpdateBody }>('/containers/:id/update', async ({ params, body }) => {
    const { warnings } = await containers.update(params.id, containerUpdateOf(body));
    return { Warnings: warnings };
  });
  app.post<Route>('/containers/:id/start', async ({ params }, reply) =>
    reply.code((await containers.start(params.id)) ? 204 : 304).send(),
  );
  app.post<Route>('/containers/:id/stop', async ({ params, query }, reply) => {
    const seconds = integer('t', query.t);
    const stopped = await containers.stop(params.id, {
      ...(seconds === undefined ? {} : { timeoutSeconds: seconds }),
      ...(query.signal ? { signal: query.signal } : {}),
    });
    return reply.code(stopped ? 204 : 304).send();
  });
  app.post<Route>('/containers/:id/restart', async ({ params, query }, reply) => {
    const seconds = integer('t', query.t);
    if (query.signal)
      throw new GantryError('unsupported', `restart with signal "${query.signal}" is not supported yet`);
    await containers.restart(params.id, seconds === undefined ? {} : { timeoutSeconds: seconds });
    return reply.code(204).send();
  });
  app.post<Route>('/containers/:id/kill', async ({ params, query }, reply) => {
    await containers.kill(params.id, query.signal || 'KILL');
    return reply.code(204).send();
  });
  app.post<Route>('/containers/:id/pause', async ({ params }, reply) => {
    await containers.pause(params.id);
    return reply.code(204).send();
  });
  app.post<Route>('/containers/:id/unpause', async ({ params }, reply) => {
    await containers.unpause(params.id);
    return reply.code(204).send();
  });
  app.post<Route>('/containers/:id/rename', async ({ params, query }, reply) => {
    await containers.rename(params.id, (query.name ?? '').replace(/^\//, ''));
    return reply.code(204).send();
  });
  app.post<Route>('/containers/:id/resize', async ({ params, query }) => {
    await containers.resize(params.id, { rows: integer('h', query.h) ?? 24, columns: integer('w', query.w) ?? 80 });
    return '';
  });
  app.delete<Route>('/containers/:id', async ({ params, query }, reply) => {
    await containers.remove(params.id, { force: flag(query.force), volumes: flag(query.v) });
    return reply.code(204).send();
  });
  app.post<Route>('/containers/:id/wait', async ({ params, query }, reply) => {
    const condition = query.condition || 'not-running';
    if (condition !== 'not-running' && condition !== 'next-exit' && condition !== 'removed')
      throw new GantryError('invalid', `invalid condition: "${condition}"`);
    const ended = containers.wait(params.id, condition, { signal: clientSignal(reply) });
    containers.get(params.id); // a 404 comes before the head
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': 'application/json' });
    // The client waits for the head before it starts the container.
    reply.raw.flushHeaders();
    try {
      const { exitCode, error } = await ended;
      reply.raw.end(
        JSON.stringify({ StatusCode: exitCode, ...(error === undefined ? {} : { Error: { Message: error } }) }),
      );
    } catch (error) {
      reply.raw.destroy();
      if (!(error instanceof GantryError && error.kind === 'cancelled')) onError(error, `waiting for ${params.id}`);
    }
    return reply;
  });
  app.get<Route>('/containers/:id/logs', async ({ params, query }, reply) => {
    const container = containers.get(params.id);
    const [stdout, stderr] = [flag(query.stdout), flag(query.stderr)];
    if (!stdout && !stderr) throw new GantryError('invalid', 'Bad parameters: you must choose at least one stream');
    const tail =
      query.tail === undefined || query.tail === 'all' || query.tail === '' ? undefined : integer('tail', query.tail);
    const [since, until] = [time(query.since), time(query.until)];
    const records = containers.logs(params.id, {
      stdout,
      stderr,
      follow: flag(query.follow),
      signal: clientSignal(reply),
      ...(tail === undefined || tail < 0 ? {} : { tail }),
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
    });
    const raw = container.options.terminal ?? false;
    reply.hijack();
    reply.raw.writeHead(200, {
      'content-type': raw ? 'application/vnd.docker.raw-stream' : 'application/vnd.docker.multiplexed-stream',
    });
    reply.raw.flushHeaders();
    try {
      for await (const { stream, time: at, text } of records) {
        const data = flag(query.timestamps) ? Buffer.concat([Buffer.from(`${at} `), text]) : text;
        await write(reply.raw, raw ? data : frame(stream, data));
      }
      reply.raw.end();
    } catch (error) {
      reply.raw.destroy();
      onError(error, `logs of ${params.id}`);
    }
    return reply;
  });
  app.get<Route>('/containers/:id/top', async ({ params, query }) => {
    const columns = psColumns(query.ps_args);
    const rows = await containers.top(params.id);
    return {
      Titles: columns.map(({ title }) => title),
      Processes: rows.map((row) => columns.map(({ show }) => show(row))),
    };
  });
  app.get<Route>('/containers/:id/changes', async ({ params }) =>
    (await containers.changes(params.id)).map(({ path, kind }) => ({
      Path: path,
      Kind: { modified: 0, added: 1, deleted: 2 }[kind],
    })),
  );
  app.get<Route>('/containers/:id/export', async ({ params }, reply) =>
    reply.type('application/x-tar').send(await containers.export(params.id)),
  );
  app.get<Route>('/gantry/containers/:id/spans', async ({ params }) => containers.spans(params.id));

  app.post<Route & { Body: Record<string, unknown> }>('/containers/:id/exec', async ({ params, body }, reply) => {
    const b = body as {
      Cmd?: string[];
      Env?: string[] | null;
      WorkingDir?: string;
      User?: string;
      Tty?: boolean;
      AttachStdin?: boolean;
      AttachStdout?: boolean;
      AttachStderr?: boolean;
      Privileged?: boolean;
    };
    const id = await containers.createExec(params.id, {
      command: b.Cmd ?? [],
      ...(b.Env ? { env: b.Env } : {}),
      ...(b.WorkingDir ? { workingDir: b.WorkingDir } : {}),
      ...(b.User ? { user: b.User } : {}),
      terminal: b.Tty ?? false,
      attachStdin: b.AttachStdin ?? false,
      attachStdout: b.AttachStdout ?? false,
      attachStderr: b.AttachStderr ?? false,
      privileged: b.Privileged ?? false,
    });
    return reply.code(201).send({ Id: id });
  });
  // Clients that want streams ask for an upgrade (hijack.ts), or take them as the body of a plain reply.
  app.post<Route>('/containers/:id/attach', async (request, reply) => {
    const { searchParams } = new URL(request.raw.url ?? '/', 'http://engine');
    await serveAttach(deps, request.params.id, searchParams, asBody(request, reply));
    return reply;
  });
  app.post<Route & { Body: ExecStartBody }>('/exec/:id/start', async (request, reply) => {
    const { params, body } = request;
    if (!body.Detach) await serveExec(deps, params.id, body, asBody(request, reply));
    else {
      await startDetached(deps, params.id, body);
      return '';
    }
    return reply;
  });
  app.post<Route>('/exec/:id/resize', async ({ params, query }) => {
    await containers.resizeExec(params.id, { rows: integer('h', query.h) ?? 24, columns: integer('w', query.w) ?? 80 });
    return '';
  });
  app.get<Route>('/exec/:id/json', async ({ params }) => {
    const exec = containers.getExec(params.id);
    const [entrypoint = '', ...args] = exec.options.command;
    return {
      ID: exec.id,
      ContainerID: exec.containerId,
      Running: exec.running,
      ExitCode: exec.exitCode ?? null,
      Pid: exec.pid ?? 0,
      OpenStdin: exec.options.attachStdin ?? false,
      OpenStdout: exec.options.attachStdout ?? false,
      OpenStderr: exec.options.attachStderr ?? false,
      CanRemove: false,
      DetachKeys: '',
      ProcessConfig: {
        tty: exec.options.terminal ?? false,
        entrypoint,
        arguments: args,
        privileged: exec.options.privileged ?? false,
      },
    };
  });
}
