import { readFileSync } from 'node:fs';

/** The part of JSON Schema (draft 4) that the specification's schemas use. */
interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minItems?: number;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
}

const understood = new Set(
  (
    '$ref type properties patternProperties additionalProperties required items minItems enum pattern minimum maximum ' +
    'anyOf allOf description $schema definitions'
  ).split(' '),
);

/** A schema with the file it stands in, which its references begin at. */
interface Placed {
  readonly schema: Schema;
  readonly file: string;
}

export interface SpecificationSchema {
  /** Whether a value fits. */
  fits(value: unknown): boolean;
  /** A value that has every property there is. `examples` gives those that only a pattern or a prose rule describes, by pointer. */
  example(examples: Readonly<Record<string, unknown>>): Record<string, unknown>;
}

const typeOf = (value: unknown): string =>
  value === null
    ? 'null'
    : Array.isArray(value)
      ? 'array'
      : typeof value === 'number' && Number.isInteger(value)
        ? 'integer'
        : typeof value;

const asObject = (value: unknown) => value as Readonly<Record<string, unknown>>;

/** Reads a schema with all it refers to, from `directory`. `without` names properties of the root that are left out. */
export function readSchema(directory: string, file: string, without: readonly string[] = []): SpecificationSchema {
  const documents = new Map<string, unknown>();
  const read = (name: string): unknown => {
    if (!documents.has(name)) documents.set(name, JSON.parse(readFileSync(`${directory}/${name}`, 'utf8')));
    return documents.get(name);
  };

  function resolved({ schema, file: from }: Placed): Placed {
    for (const keyword of Object.keys(schema))
      if (!understood.has(keyword)) throw new Error(`${from} uses ${keyword}, which is not understood here`);
    if (schema.$ref === undefined) return { schema, file: from };
    const [name = '', path = ''] = schema.$ref.split('#');
    const target = name === '' ? from : name;
    let at = read(target);
    for (const part of path.split('/').filter(Boolean)) at = asObject(at)[part];
    return resolved({ schema: at as Schema, file: target });
  }

  function propertiesOf(placed: Placed): ReadonlyMap<string, Placed> {
    const { schema, file: from } = resolved(placed);
    const own = Object.entries(schema.properties ?? {}).map(([name, s]) => [name, { schema: s, file: from }] as const);
    const inherited = (schema.allOf ?? []).flatMap((part) => [...propertiesOf({ schema: part, file: from })]);
    return new Map([...own, ...inherited]);
  }

  function fits(value: unknown, placed: Placed): boolean {
    const { schema, file: from } = resolved(placed);
    const type = typeOf(value);
    const at = (part: Schema): Placed => ({ schema: part, file: from });
    if (schema.type !== undefined && schema.type !== type && !(schema.type === 'number' && type === 'integer'))
      return false;
    if (schema.enum !== undefined && !schema.enum.includes(value)) return false;
    if (typeof value === 'string' && schema.pattern !== undefined && !new RegExp(schema.pattern).test(value))
      return false;
    if (typeof value === 'number' && (value < (schema.minimum ?? value) || value > (schema.maximum ?? value)))
      return false;
    if (Array.isArray(value)) {
      if (value.length < (schema.minItems ?? 0)) return false;
      const { items } = schema;
      if (items !== undefined && !value.every((entry) => fits(entry, at(items)))) return false;
    }
    if (type === 'object') {
      const object = asObject(value);
      if (schema.required?.some((name) => !Object.hasOwn(object, name))) return false;
      for (const [name, entry] of Object.entries(object)) {
        const own = schema.properties?.[name];
        const patterns = Object.entries(schema.patternProperties ?? {}).filter(([p]) => new RegExp(p).test(name));
        const others = own === undefined && patterns.length === 0 ? schema.additionalProperties : undefined;
        for (const rule of [own, others, ...patterns.map(([, s]) => s)])
          if (rule !== undefined && !fits(entry, at(rule))) return false;
      }
    }
    if (schema.anyOf !== undefined && !schema.anyOf.some((part) => fits(value, at(part)))) return false;
    return (schema.allOf ?? []).every((part) => fits(value, at(part)));
  }

  function example(placed: Placed, pointer: string, examples: Readonly<Record<string, unknown>>): unknown {
    if (Object.hasOwn(examples, pointer)) return examples[pointer];
    const { schema, file: from } = resolved(placed);
    const inner = schema.anyOf?.[0];
    if (inner !== undefined) return example({ schema: inner, file: from }, pointer, examples);
    const properties = propertiesOf(placed);
    if (properties.size > 0)
      return Object.fromEntries(
        [...properties].map(([name, part]) => [name, example(part, `${pointer}/${name}`, examples)]),
      );
    const entry = schema.additionalProperties ?? Object.values(schema.patternProperties ?? {})[0];
    if (entry !== undefined) return { key: example({ schema: entry, file: from }, `${pointer}/key`, examples) };
    switch (schema.type) {
      case 'array':
        return schema.items === undefined
          ? []
          : [example({ schema: schema.items, file: from }, `${pointer}/0`, examples)];
      case 'integer':
        return Math.max(schema.minimum ?? 0, 0);
      case 'boolean':
        return true;
      case 'string':
        if (schema.pattern !== undefined) throw new Error(`${pointer}: give an example of ${schema.pattern}`);
        return schema.enum?.[0] ?? 'text';
      default:
        throw new Error(`${pointer}: a schema of type ${schema.type} has no example`);
    }
  }

  const document = read(file) as Schema;
  const properties = Object.fromEntries(
    Object.entries(document.properties ?? {}).filter(([name]) => !without.includes(name)),
  );
  const root: Placed = { schema: { ...document, properties }, file };
  return {
    fits: (value) => fits(value, root),
    example: (examples) => example(root, '', examples) as Record<string, unknown>,
  };
}
