/** A JSON Schema (draft 2020-12, as OpenAPI 3.1 has it) as far as it is used here. */
export interface JsonSchema {
  readonly $ref?: string;
  /** A name of the Engine API's: the description tells such a schema once and refers to it. */
  readonly title?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly enum?: readonly (string | number | null)[];
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  readonly minItems?: number;
  readonly maxItems?: number;
}

declare const shape: unique symbol;

/** What a value looks like on the wire, and the TypeScript type of it; `json` is written into the API's description. */
export interface Schema<T> {
  readonly [shape]?: T;
  readonly json: JsonSchema;
  /** Of a property: it may be left out. */
  readonly optional?: true;
}

/** A property that may be left out. */
export interface OptionalSchema<T> extends Schema<T> {
  readonly optional: true;
}

/** The type of what fits a schema. */
export type ShapeOf<S> = S extends Schema<infer T> ? T : never;

type Properties = Readonly<Record<string, Schema<unknown>>>;
type OptionalKeys<P extends Properties> = { [K in keyof P]: P[K] extends { optional: true } ? K : never }[keyof P];
type ObjectOf<P extends Properties> = {
  readonly [K in Exclude<keyof P, OptionalKeys<P>>]: ShapeOf<P[K]>;
} & { readonly [K in OptionalKeys<P>]?: ShapeOf<P[K]> };
type BodyOf<P extends Properties> = { readonly [K in keyof P]?: ShapeOf<P[K]> };

const told = (description: string | undefined): { description?: string } =>
  description === undefined ? {} : { description };

export const text = (description?: string): Schema<string> => ({ json: { type: 'string', ...told(description) } });
export const integer = (description?: string): Schema<number> => ({ json: { type: 'integer', ...told(description) } });
export const number = (description?: string): Schema<number> => ({ json: { type: 'number', ...told(description) } });
export const flag = (description?: string): Schema<boolean> => ({ json: { type: 'boolean', ...told(description) } });
export const anything = (description?: string): Schema<unknown> => ({ json: told(description) });

export const choice = <const V extends string>(values: readonly V[], description?: string): Schema<V> => ({
  json: { type: 'string', enum: values, ...told(description) },
});

export const list = <T>(items: Schema<T>, description?: string): Schema<readonly T[]> => ({
  json: { type: 'array', items: items.json, ...told(description) },
});

/** An object with keys of any name. */
export const map = <T>(values: Schema<T>, description?: string): Schema<Readonly<Record<string, T>>> => ({
  json: { type: 'object', additionalProperties: values.json, ...told(description) },
});

/** An answer's object: these properties and no others. */
export const object = <P extends Properties>(properties: P, description?: string): Schema<ObjectOf<P>> => ({
  json: { ...objectJson(properties), additionalProperties: false, ...told(description) },
});

/**
 * A request's object: each property may be absent, and unknown ones are the handler's to judge. Null stands for absent, as
 * in Go's JSON (see `given`).
 */
export const body = <P extends Properties>(properties: P, description?: string): Schema<BodyOf<P>> => ({
  json: { type: 'object', properties: jsonOf(properties), ...told(description) },
});

const jsonOf = (properties: Properties): Record<string, JsonSchema> =>
  Object.fromEntries(Object.entries(properties).map(([key, { json }]) => [key, json]));

/** The same properties in an answer, which tells what was not asked for as null or leaves it out. */
export const shown = <P extends Properties>(
  properties: P,
): Schema<{ readonly [K in keyof P]?: ShapeOf<P[K]> | null }> => ({
  json: {
    type: 'object',
    properties: jsonOf(Object.fromEntries(Object.entries(properties).map(([key, one]) => [key, orNull(one)]))),
    additionalProperties: false,
  },
});

function objectJson(properties: Properties): JsonSchema {
  const required = Object.keys(properties).filter((key) => !properties[key]?.optional);
  return {
    type: 'object',
    properties: jsonOf(properties),
    ...(required.length === 0 ? {} : { required }),
  };
}

export const optional = <T>(schema: Schema<T>): OptionalSchema<T> => ({ ...schema, optional: true });

export const orNull = <T>(schema: Schema<T>): Schema<T | null> =>
  either(schema, { json: { type: 'null' } } as Schema<null>);

export const either = <S extends readonly Schema<unknown>[]>(...schemas: S): Schema<ShapeOf<S[number]>> => ({
  json: { anyOf: schemas.map(({ json }) => json) },
});

/** Gives a schema a name of the Engine API's. */
export const named = <T>(title: string, schema: Schema<T>): Schema<T> => ({ json: { title, ...schema.json } });
