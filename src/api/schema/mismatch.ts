import type { JsonSchema } from './schema.ts';

const kindOf = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value === 'object' ? 'object' : typeof value;

const isOf = (type: string, value: unknown): boolean =>
  type === 'integer' ? Number.isInteger(value) : type === kindOf(value);

const article = (type: string): string => `${/^[aio]/.test(type) ? 'an' : 'a'} ${type}`;

/**
 * Says where and how a request's value does not fit a schema; undefined where it does. Null fits everything, for in Go's
 * JSON it stands for what is not given.
 */
export function mismatch(schema: JsonSchema, value: unknown, at = ''): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (schema.anyOf !== undefined) {
    const failures = schema.anyOf.map((one) => mismatch(one, value, at));
    return failures.includes(undefined) ? undefined : failures[0];
  }
  const where = at === '' ? 'the body' : at;
  if (typeof schema.type === 'string' && !isOf(schema.type, value))
    return `${where} must be ${article(schema.type)}, not ${JSON.stringify(value)?.slice(0, 80)}`;
  if (schema.enum !== undefined && !schema.enum.includes(value as string))
    return `${where} is "${String(value)}"; expected one of ${schema.enum.join(', ')}`;
  if (Array.isArray(value))
    return firstOf(value.map((item, index) => [`${at}[${index}]`, schema.items ?? {}, item] as const));
  if (typeof value !== 'object') return undefined;
  return firstOf(
    Object.entries(value).map(([key, inner]) => {
      const properties = schema.properties ?? {};
      const other = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : {};
      return [
        at === '' ? key : `${at}.${key}`,
        Object.hasOwn(properties, key) ? (properties[key] ?? {}) : other,
        inner,
      ] as const;
    }),
  );
}

/** A request's value without the properties that are null; in maps, whose keys are names, they stay. */
export function given(schema: JsonSchema, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => given(schema.items ?? {}, item));
  if (typeof value !== 'object' || value === null) return value;
  const inner = (key: string): JsonSchema =>
    Object.hasOwn(schema.properties ?? {}, key)
      ? (schema.properties?.[key] ?? {})
      : typeof schema.additionalProperties === 'object'
        ? schema.additionalProperties
        : {};
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, one]) => one !== null || schema.properties === undefined)
      .map(([key, one]) => [key, given(inner(key), one)]),
  );
}

function firstOf(parts: readonly (readonly [string, JsonSchema, unknown])[]): string | undefined {
  for (const [at, schema, value] of parts) {
    const found = mismatch(schema, value, at);
    if (found !== undefined) return found;
  }
  return undefined;
}
