import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';

type Json = Record<string, unknown>;
type Schema = Json | undefined;

/** One operation of a description: what it may answer, by status. */
interface Described {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly tags: readonly string[];
  readonly statuses: readonly string[];
  /** Undefined where the description says nothing of the body. */
  readonly bodyOf: (status: number) => Schema;
}

/** A body that is no JSON, or none. */
export const nothing: unique symbol = Symbol('no JSON');

/** A description of the API that answers are held against. */
export interface Description {
  readonly operations: ReadonlyMap<string, Described>;
  /** What is wrong with an answer's status and body (of a stream: one item); empty where nothing is. */
  check(id: string, status: number, body: unknown): readonly string[];
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The file of Docker's API, where this project finds it; undefined where it is not at hand. */
export function specPath(): string | undefined {
  const beside = fileURLToPath(new URL('../../../shared/specs/engine-api/swagger.yaml', import.meta.url));
  const path = process.env.GANTRY_ENGINE_API_SPEC ?? beside;
  return existsSync(path) ? path : undefined;
}

/**
 * Swagger 2 as JSON Schema: `x-nullable`, no formats, no fields besides the named ones. Go writes its empty lists and maps
 * as null, so the answers of Docker itself have null where the file says array or object: those are taken.
 */
function modern(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(modern);
  if (!isObject(value)) return value;
  const { $ref, 'x-nullable': nullable, allOf, format: _format, example: _example, ...rest } = value;
  if (typeof $ref === 'string') {
    const reference = { $ref: $ref.replace('#/definitions/', '#/components/schemas/') };
    return nullable === true ? { anyOf: [reference, { type: 'null' }] } : reference;
  }
  if (Array.isArray(allOf)) {
    const parts = rest.properties === undefined ? allOf : [...(allOf as unknown[]), rest];
    return parts.length === 1 ? modern(parts[0]) : { allOf: parts.map(modern) };
  }
  const out: Json = Object.fromEntries(
    Object.entries(rest)
      .filter(([key]) => !key.startsWith('x-') && key !== 'default' && key !== 'title' && key !== 'description')
      .map(([key, inner]) => [key, key === 'properties' ? properties(inner) : key === 'enum' ? inner : modern(inner)]),
  );
  // One object requires a field that it does not have.
  if (Array.isArray(out.required) && isObject(out.properties)) {
    const known = out.properties;
    out.required = out.required.filter((name) => Object.hasOwn(known, String(name)));
  }
  const type = out.type ?? (out.properties === undefined ? undefined : 'object');
  if (type === 'array' || type === 'object' || (nullable === true && typeof type === 'string')) {
    out.type = [type, 'null'];
    if (Array.isArray(out.enum)) out.enum = [...(out.enum as unknown[]), null];
  }
  return out;
}

const properties = (value: unknown): unknown =>
  isObject(value)
    ? Object.fromEntries(
        Object.entries(value).map(([key, inner]) => [
          key,
          // A field of its own is described in words that `modern` would take for keywords.
          modern(inner),
        ]),
      )
    : value;

/** Every object that says what it has has nothing else. Of those in an `allOf` each would refuse the others' fields. */
function closed(schema: unknown, all: Json, within = false): unknown {
  if (Array.isArray(schema)) return schema.map((one) => closed(one, all));
  if (!isObject(schema)) return schema;
  if (Array.isArray(schema.allOf)) return merged(schema.allOf as unknown[], all);
  const inner = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === 'properties' && isObject(value)
        ? Object.fromEntries(Object.entries(value).map(([name, one]) => [name, closed(one, all)]))
        : key === 'enum' || key === 'required'
          ? value
          : closed(value, all),
    ]),
  );
  return isObject(inner.properties) && inner.additionalProperties === undefined && !within
    ? { ...inner, additionalProperties: false }
    : inner;
}

/** One object with the fields of all. */
function merged(parts: readonly unknown[], all: Json): Json {
  const resolved = parts.map((part) =>
    isObject(part) && typeof part.$ref === 'string'
      ? closed(all[part.$ref.split('/').at(-1) ?? ''], all)
      : closed(part, all),
  ) as Json[];
  return {
    type: ['object', 'null'],
    properties: Object.assign({}, ...resolved.map((part) => part.properties ?? {})) as Json,
    required: resolved.flatMap((part) => (part.required as string[] | undefined) ?? []),
    additionalProperties: false,
  };
}

function describe(operations: ReadonlyMap<string, Described>, schemas: Json): Description {
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
  ajv.addSchema({ $id: 'api', components: { schemas } });
  const anchored = (schema: unknown): unknown =>
    JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"api#/components'));
  const compiled = new Map<string, ReturnType<typeof ajv.compile>>();
  return {
    operations,
    check(id, status, body) {
      const operation = operations.get(id);
      if (operation === undefined) return [`${id} is not described`];
      const { statuses } = operation;
      if (!statuses.includes(String(status)) && !(status >= 400 && statuses.includes('default')))
        return [`status ${status} is not described; ${statuses.join(', ')} are`];
      const schema = operation.bodyOf(status);
      if (schema === undefined || body === nothing) return [];
      const key = `${id} ${status}`;
      const validate = compiled.get(key) ?? ajv.compile(anchored(schema) as Json);
      compiled.set(key, validate);
      if (validate(body)) return [];
      return (validate.errors ?? []).map(
        ({ instancePath, message, params }) => `${instancePath || '/'} ${message} ${JSON.stringify(params)}`,
      );
    },
  };
}

const methods = ['get', 'head', 'post', 'put', 'delete'];

function operationsOf(paths: Json, schemaOf: (response: Json) => Schema): ReadonlyMap<string, Described> {
  const found = new Map<string, Described>();
  for (const [path, all] of Object.entries(paths as Record<string, Record<string, Json>>))
    for (const method of methods) {
      const operation = all[method];
      if (operation === undefined) continue;
      const responses = operation.responses as Record<string, Json>;
      const id = operation.operationId as string;
      found.set(id, {
        id,
        path,
        method: method.toUpperCase(),
        tags: (operation.tags as string[] | undefined) ?? [],
        statuses: Object.keys(responses),
        bodyOf: (status) => {
          const response = responses[status] ?? responses.default;
          return response === undefined ? undefined : schemaOf(response);
        },
      });
    }
  return found;
}

/** Docker's own, read from where it is kept. */
export function dockersDescription(path: string): Description {
  const file = parse(readFileSync(path, 'utf8')) as { paths: Json; definitions: Json };
  const raw = properties(file.definitions) as Json;
  const schemas = Object.fromEntries(Object.entries(raw).map(([name, one]) => [name, closed(one, raw)]));
  return describe(
    operationsOf(file.paths, ({ schema }) =>
      schema === undefined ? undefined : (closed(modern(schema), raw) as Schema),
    ),
    schemas,
  );
}

/** The one that the daemon serves. */
export function servedDescription(file: { paths: Json; components: { schemas: Json } }): Description {
  return describe(
    operationsOf(file.paths, ({ content }) => {
      const json = (content as Record<string, { schema: Json }> | undefined)?.['application/json'];
      return json?.schema;
    }),
    file.components.schemas,
  );
}
