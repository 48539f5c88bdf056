import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods, RouteGenericInterface } from 'fastify';
import { GantryError } from '#errors/index.ts';
import { checkedMinor, type Minor, minorOf, versionOf } from './api-version.ts';
import { filters, integer, type Query, refuseFilters } from './query.ts';
import { given, mismatch } from './schema/mismatch.ts';
import type { JsonSchema, Schema } from './schema/schema.ts';
import { requestIn, responseIn } from './version-changes.ts';

/** What is sent, one way or the other. */
export interface Media {
  readonly type: string;
  readonly schema: JsonSchema;
  /** One value a line, as they come. */
  readonly stream?: true;
}

const media = (type: string, { json }: Schema<unknown>): Media => ({ type, schema: json });
export const json = (schema: Schema<unknown>): Media => media('application/json', schema);
/** JSON values one after the other. */
export const lines = (schema: Schema<unknown>): Media => ({ ...json(schema), stream: true });
export const tar: Media = { type: 'application/x-tar', schema: {} };
export const plain: Media = { type: 'text/plain', schema: { type: 'string' } };
/** Output of processes: as it is, or in frames that say of which stream. */
export const output: Media = { type: 'application/vnd.docker.raw-stream', schema: {} };

/** A parameter of the query. */
export interface Parameter extends Schema<unknown> {
  /** Of `filters`: the keys that are known. */
  readonly keys?: readonly string[];
  /** The first version that knows it. */
  readonly since?: string;
}

/** `filters={"key":["value"]}` with these keys; any other is refused. */
export const filtersOf = (...keys: readonly string[]): Parameter => ({
  json: { type: 'string', description: `JSON, lists of values by key: ${keys.join(', ')}` },
  keys,
});

/**
 * One operation of the Engine API, told once: the router and the description at /openapi.json both come of it.
 * Errors are the same everywhere: `{"message": "…"}`.
 */
export interface Operation {
  /** The Engine API's own name of it; `Gantry…` for what is ours. */
  readonly id: string;
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  /** `/containers/{id}/json`; a `{name…}` may hold slashes. */
  readonly path: string;
  readonly summary: string;
  /** The first version that has it. */
  readonly since?: string;
  readonly query?: Readonly<Record<string, Parameter>>;
  readonly body?: Media;
  /** By status; null where there is no body. */
  readonly answers: Readonly<Record<number, Media | null>>;
}

type Handler<R extends RouteGenericInterface> = (request: FastifyRequest<R>, reply: FastifyReply) => Promise<unknown>;

/** Takes operations and answers them. */
export interface Routes {
  /** What the handler returns is in the newest version's shape; what the caller gets is in the version it asked for. */
  add<R extends RouteGenericInterface>(operation: Operation, handle: Handler<R>): void;
  readonly operations: readonly Operation[];
  /** To be called when all are added: makes the routes of those whose names hold slashes. */
  finish(): void;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The version that was asked for: 1.NN. */
    minor: Minor;
    operation: Operation | undefined;
  }
}

interface Wild {
  readonly suffix: string;
  readonly run: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;
}

/** Of fastify's routes, the operations. */
export function createRoutes(app: FastifyInstance): Routes {
  const operations: Operation[] = [];
  const wild = new Map<string, Wild[]>();
  app.decorateRequest('minor', 0);
  app.decorateRequest('operation', undefined);
  app.addHook('onRequest', async (request) => {
    request.minor = checkedMinor(versionOf(request.originalUrl));
  });
  return {
    operations,
    add<R extends RouteGenericInterface>(operation: Operation, handle: Handler<R>) {
      operations.push(operation);
      const { method, path, id } = operation;
      const run = async (request: FastifyRequest, reply: FastifyReply) => {
        request.operation = operation;
        const asked = request.query as Query;
        check(operation, request, asked);
        const changed = requestIn(id, request.minor, { query: asked, body: request.body });
        request.query = changed.query;
        request.body = changed.body;
        const answer = await handle(request as FastifyRequest<R>, reply);
        return isValue(answer) ? responseIn(id, request.minor, answer, asked) : answer;
      };
      const [, prefix, suffix] = /^(.*\/)\{\w+…\}(.*)$/.exec(path) ?? [];
      if (prefix === undefined || suffix === undefined)
        app.route({
          method,
          url: path.replaceAll(/\{(\w+)\}/g, ':$1'),
          handler: run,
          ...(method === 'GET' ? { exposeHeadRoute: false } : {}),
        });
      else {
        const key = `${method} ${prefix}*`;
        wild.set(key, [...(wild.get(key) ?? []), { suffix, run }]);
      }
    },
    finish() {
      for (const [key, handlers] of wild) {
        const [method = '', url = ''] = key.split(' ');
        app.route<{ Params: { '*': string } }>({
          method: method as HTTPMethods,
          url,
          handler: async (request, reply) => {
            const path = request.params['*'];
            const found = handlers.find(({ suffix }) => path.endsWith(suffix) && path.length > suffix.length);
            if (found === undefined) throw notFound(request.method, request.url);
            (request as { params: unknown }).params = { name: path.slice(0, path.length - found.suffix.length) };
            return found.run(request as unknown as FastifyRequest, reply);
          },
        });
      }
    },
  };
}

export const notFound = (method: string, url: string): GantryError =>
  new GantryError('not-found', `page not found: ${method} ${url}`);

/** @throws GantryError invalid, naming the parameter or the field */
function check(operation: Operation, request: FastifyRequest, query: Query): void {
  if (operation.since !== undefined && request.minor < minorOf(operation.since))
    throw notFound(request.method, request.originalUrl);
  for (const [name, { json: schema, keys }] of Object.entries(operation.query ?? {})) {
    const value = query[name];
    if (value === undefined) continue;
    if (schema.type === 'integer') integer(name, value);
    if (keys !== undefined) refuseFilters(filters(value), keys);
  }
  if (operation.body?.type !== 'application/json') return;
  const wrong = mismatch(operation.body.schema, request.body);
  if (wrong !== undefined) throw new GantryError('invalid', `invalid request: ${wrong}`);
  request.body = given(operation.body.schema, request.body ?? {});
}

/** Whether it is JSON to be, and no stream, text, bytes or reply. */
function isValue(answer: unknown): answer is object {
  if (Array.isArray(answer)) return true;
  return typeof answer === 'object' && answer !== null && Object.getPrototypeOf(answer) === Object.prototype;
}

/** One item of a stream in the version asked for. */
export const itemFor = (request: FastifyRequest, item: object): object =>
  request.operation === undefined ? item : responseIn(request.operation.id, request.minor, item, {});
