import { parseDetachKeys } from '#client/index.ts';
import type { ExecOptions } from '#engine/index.ts';
import { consoleSizeOf, type ExecStartBody, serveExec, startDetached } from './attach-streams.ts';
import { asBody } from './body-streams.ts';
import { sizeOf } from './containers-api.ts';
import type { ApiDeps } from './deps.ts';
import { json, type Operation, output, type Routes } from './operation.ts';
import type { Query } from './query.ts';
import * as schema from './schema/container.ts';
import { integer, object, type ShapeOf } from './schema/schema.ts';

interface Route {
  Params: { id: string };
  Querystring: Query;
}

const create: Operation = {
  id: 'ContainerExec',
  method: 'POST',
  path: '/containers/{id}/exec',
  summary: 'Make a further process in a running container; it does not start yet',
  body: json(schema.execBody),
  answers: { 201: json(schema.idResponse) },
};

const start: Operation = {
  id: 'ExecStart',
  method: 'POST',
  path: '/exec/{id}/start',
  summary: 'Start it; with Upgrade: tcp the connection is taken over, with Detach the answer is empty',
  body: json(schema.execStartBody),
  answers: { 101: output, 200: output },
};

const resize: Operation = {
  id: 'ExecResize',
  method: 'POST',
  path: '/exec/{id}/resize',
  summary: 'Set the size of its terminal',
  query: { h: integer('Rows'), w: integer('Columns') },
  answers: { 200: null },
};

const inspect: Operation = {
  id: 'ExecInspect',
  method: 'GET',
  path: '/exec/{id}/json',
  summary: 'What became of it',
  answers: { 200: json(schema.execInspect) },
};

const wait: Operation = {
  id: 'GantryExecWait',
  method: 'GET',
  path: '/gantry/exec/{id}/wait',
  summary: 'Its exit code, once it has ended',
  answers: { 200: json(object({ ExitCode: integer('As of a shell') })) },
};

export type ExecBody = ShapeOf<typeof schema.execBody>;

/** @throws GantryError invalid */
function checkedKeys(keys: string): string {
  parseDetachKeys(keys);
  return keys;
}

export function execOptionsOf(body: ExecBody): ExecOptions {
  const size = consoleSizeOf(body.ConsoleSize);
  return {
    command: body.Cmd ?? [],
    ...(body.Env ? { env: body.Env } : {}),
    ...(body.WorkingDir ? { workingDir: body.WorkingDir } : {}),
    ...(body.User ? { user: body.User } : {}),
    terminal: body.Tty ?? false,
    attachStdin: body.AttachStdin ?? false,
    attachStdout: body.AttachStdout ?? false,
    attachStderr: body.AttachStderr ?? false,
    privileged: body.Privileged ?? false,
    ...(body.DetachKeys ? { detachKeys: checkedKeys(body.DetachKeys) } : {}),
    ...(size === undefined ? {} : { consoleSize: size }),
  };
}

/** Further processes in running containers. Upgraded connections: hijack.ts. */
export function execApi(routes: Routes, deps: ApiDeps): void {
  const { containers } = deps;
  routes.add<Route & { Body: ExecBody }>(create, async ({ params, body }, reply) => {
    const id = await containers.createExec(params.id, execOptionsOf(body));
    reply.code(201);
    return { Id: id };
  });
  routes.add<Route & { Body: ExecStartBody | undefined }>(start, async (request, reply) => {
    const body = request.body ?? {};
    if (body.Detach) {
      await startDetached(deps, request.params.id, body);
      return '';
    }
    await serveExec(deps, request.params.id, body, asBody(request, reply));
    return reply;
  });
  routes.add<Route>(resize, async ({ params, query }) => {
    await containers.resizeExec(params.id, sizeOf(query));
    return '';
  });
  routes.add<Route>(wait, async ({ params }) => ({ ExitCode: await containers.waitExec(params.id) }));
  routes.add<Route>(inspect, async ({ params }) => {
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
      DetachKeys: exec.options.detachKeys ?? '',
      ProcessConfig: {
        tty: exec.options.terminal ?? false,
        entrypoint,
        arguments: args,
        privileged: exec.options.privileged ?? false,
        user: exec.options.user ?? '',
      },
    };
  });
}
