import { apiVersion, minApiVersion } from './api-version.ts';
import type { Media, Operation } from './operation.ts';
import type { JsonSchema } from './schema/schema.ts';

const reference = (title: string): JsonSchema => ({ $ref: `#/components/schemas/${title}` });

/** Schemas with a name, each told once. */
function createDefinitions() {
  const schemas: Record<string, JsonSchema> = {};
  const inner = (schema: JsonSchema): JsonSchema => ({
    ...schema,
    ...(schema.items === undefined ? {} : { items: refer(schema.items) }),
    ...(schema.anyOf === undefined ? {} : { anyOf: schema.anyOf.map(refer) }),
    ...(typeof schema.additionalProperties === 'object'
      ? { additionalProperties: refer(schema.additionalProperties) }
      : {}),
    ...(schema.properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(Object.entries(schema.properties).map(([key, value]) => [key, refer(value)])),
        }),
  });
  const refer = (schema: JsonSchema): JsonSchema => {
    if (schema.title === undefined) return inner(schema);
    if (schemas[schema.title] === undefined) {
      schemas[schema.title] = {}; // a schema that holds itself
      schemas[schema.title] = inner(schema);
    }
    return reference(schema.title);
  };
  return { schemas, refer };
}

/** The description of what is served, as OpenAPI 3.1. Nothing in it is written for it alone: it is read off the routes. */
export function describeApi(operations: readonly Operation[], version: string): object {
  const { schemas, refer } = createDefinitions();
  const error = refer({
    title: 'ErrorResponse',
    type: 'object',
    properties: { message: { type: 'string' } },
    required: ['message'],
    additionalProperties: false,
  });
  const content = ({ type, schema, stream }: Media) => ({
    [type]: { schema: refer(schema), ...(stream === undefined ? {} : { 'x-stream': true }) },
  });
  const describe = ({ id, path, summary, since, query, body, answers }: Operation) => ({
    operationId: id,
    summary,
    ...(since === undefined ? {} : { 'x-since': since }),
    parameters: [
      ...[...path.matchAll(/\{(\w+)…?\}/g)].map(([, name]) => ({
        name,
        in: 'path',
        required: true,
        schema: { type: 'string' },
      })),
      ...Object.entries(query ?? {}).map(([name, { json, since: from }]) => ({
        name,
        in: 'query',
        schema: refer(json),
        ...(from === undefined ? {} : { 'x-since': from }),
      })),
    ],
    ...(body === undefined ? {} : { requestBody: { content: content(body) } }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, media]) => [
          status,
          { description: status, ...(media === null ? {} : { content: content(media) }) },
        ]),
      ),
      default: { description: 'An error', content: { 'application/json': { schema: error } } },
    },
  });
  const byPath = Map.groupBy(operations, ({ path }) => path.replaceAll('…', ''));
  const paths = Object.fromEntries(
    [...byPath].map(([path, all]) => [
      path,
      Object.fromEntries(all.map((one) => [one.method.toLowerCase(), describe(one)])),
    ]),
  );
  return {
    openapi: '3.1.0',
    info: {
      title: 'Gantry: the Docker Engine API',
      version: apiVersion,
      description: `As gantry ${version} serves it, in its newest version. Older ones down to ${minApiVersion} are asked for with /v1.NN before the path.`,
    },
    servers: [{ url: `/v${apiVersion}` }],
    paths,
    components: { schemas },
  };
}
