import { GantryError } from '#errors/index.ts';
import { serveAttach, streamType } from './attach-streams.ts';
import { asBody } from './body-streams.ts';
import type { ApiDeps } from './deps.ts';
import { json, type Operation, output, type Routes } from './operation.ts';
import { integer, flag as isSet, type Query, time } from './query.ts';
import { waitResponse } from './schema/container.ts';
import { choice, flag, text } from './schema/schema.ts';
import { clientSignal, frame, write } from './streams.ts';

interface Route {
  Params: { id: string };
  Querystring: Query;
}

const logs: Operation = {
  id: 'ContainerLogs',
  method: 'GET',
  path: '/containers/{id}/logs',
  summary: 'What a container wrote',
  query: {
    follow: flag('And goes on to write'),
    stdout: flag(),
    stderr: flag(),
    since: text('Seconds since 1970, or RFC 3339'),
    until: { ...text('The same'), since: '1.35' },
    timestamps: flag('Each line begins with its time'),
    details: flag('With the attributes of the log’s options'),
    tail: text('The last so many lines, or all'),
  },
  answers: { 200: output },
};

const attachQuery = {
  detachKeys: text(),
  logs: flag('What was written before'),
  stream: flag('What comes'),
  stdin: flag(),
  stdout: flag(),
  stderr: flag(),
};

const attach: Operation = {
  id: 'ContainerAttach',
  method: 'POST',
  path: '/containers/{id}/attach',
  summary: 'Streams of the container’s process; with Upgrade: tcp the connection is taken over',
  query: attachQuery,
  answers: { 101: output, 200: output },
};

const attachWebsocket: Operation = {
  id: 'ContainerAttachWebsocket',
  method: 'GET',
  path: '/containers/{id}/attach/ws',
  summary: 'The same by WebSocket, stdout and stderr in one',
  query: attachQuery,
  answers: { 101: output },
};

const wait: Operation = {
  id: 'ContainerWait',
  method: 'POST',
  path: '/containers/{id}/wait',
  summary: 'Answers when a container has ended',
  query: { condition: { ...choice(['not-running', 'next-exit', 'removed']), since: '1.30' } },
  answers: { 200: json(waitResponse) },
};

/** What log options add to a line: `name=value`, in order, as Docker's `--details` has it. */
const detailsText = (attributes: Readonly<Record<string, string>> = {}): string =>
  Object.entries(attributes)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join(',');

/** Answers that come while a container goes on: logs, its streams, its end. Upgraded connections: hijack.ts. */
export function containerStreamsApi(routes: Routes, deps: ApiDeps): void {
  const { containers, onError } = deps;
  routes.add<Route>(wait, async (request, reply) => {
    const { params, query } = request;
    const condition = query.condition || 'not-running';
    if (condition !== 'not-running' && condition !== 'next-exit' && condition !== 'removed')
      throw new GantryError('invalid', `invalid condition: "${condition}"`);
    containers.get(params.id); // a 404 comes before the head, and nothing waits that nobody awaits
    const ended = containers.wait(params.id, condition, { signal: clientSignal(reply) });
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': 'application/json' });
    // The client waits for the head before it starts the container.
    if (request.minor >= 30) reply.raw.flushHeaders();
    try {
      const { exitCode, error } = await ended;
      reply.raw.end(
        `${JSON.stringify({ StatusCode: exitCode, ...(error === undefined ? {} : { Error: { Message: error } }) })}\n`,
      );
    } catch (error) {
      reply.raw.destroy();
      if (!(error instanceof GantryError && error.kind === 'cancelled')) onError(error, `waiting for ${params.id}`);
    }
    return reply;
  });

  routes.add<Route>(logs, async (request, reply) => {
    const { params, query } = request;
    const container = containers.get(params.id);
    const [stdout, stderr] = [isSet(query.stdout), isSet(query.stderr)];
    if (!stdout && !stderr) throw new GantryError('invalid', 'Bad parameters: you must choose at least one stream');
    const tail =
      query.tail === undefined || query.tail === 'all' || query.tail === '' ? undefined : integer('tail', query.tail);
    const [since, until] = [time(query.since), time(query.until)];
    const records = await containers.logs(params.id, {
      stdout,
      stderr,
      follow: isSet(query.follow),
      signal: clientSignal(reply),
      ...(tail === undefined || tail < 0 ? {} : { tail }),
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
    });
    const raw = container.options.terminal ?? false;
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': streamType(raw, request.minor) });
    reply.raw.flushHeaders();
    try {
      const [timed, detailed] = [isSet(query.timestamps), isSet(query.details)];
      for await (const { stream, time: at, text: words, attributes } of records) {
        const head = `${timed ? `${at} ` : ''}${detailed ? `${detailsText(attributes)} ` : ''}`;
        const data = head === '' ? words : Buffer.concat([Buffer.from(head), words]);
        await write(reply.raw, raw ? data : frame(stream, data));
      }
      reply.raw.end();
    } catch (error) {
      reply.raw.destroy();
      onError(error, `logs of ${params.id}`);
    }
    return reply;
  });

  routes.add<Route>(attach, async (request, reply) => {
    await serveAttach(deps, request.params.id, request.query, asBody(request, reply));
    return reply;
  });
  routes.add<Route>(attachWebsocket, async ({ params }) => {
    containers.get(params.id);
    throw new GantryError('invalid', 'this needs a WebSocket: Upgrade: websocket, Sec-WebSocket-Version: 13 and a key');
  });
}
