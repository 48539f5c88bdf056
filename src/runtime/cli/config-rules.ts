import { GantryError } from '#errors/index.ts';
import { exactJson } from '#oci/index.ts';

/**
 * Checks one value of a JSON document. `pointer` is where it stands (RFC 6901), for the error.
 * @throws GantryError invalid | unsupported that names pointer and value
 */
export type Rule = (value: unknown, pointer: string) => void;

/** A value for an error, shortened. */
export const shown = (value: unknown): string => {
  const text = value === undefined ? 'nothing' : exactJson(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
};

export function refuse(pointer: string, value: unknown, wanted: string): never {
  throw new GantryError('invalid', `config.json: ${pointer || '/'} is ${shown(value)}; ${wanted}`);
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const escaped = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1');

export const text: Rule = (value, pointer) => {
  if (typeof value !== 'string') refuse(pointer, value, 'it must be a string');
  if (value.includes('\0')) refuse(pointer, value, 'it must hold no NUL byte');
};

export const filled: Rule = (value, pointer) => {
  text(value, pointer);
  if (value === '') refuse(pointer, value, 'it must not be empty');
};

export const absolutePath: Rule = (value, pointer) => {
  text(value, pointer);
  if (typeof value === 'string' && !value.startsWith('/')) refuse(pointer, value, 'it must be an absolute path');
};

export const flag: Rule = (value, pointer) => {
  if (typeof value !== 'boolean') refuse(pointer, value, 'it must be true or false');
};

/**
 * A whole number. Beyond 2^53 it is a bigint where it was read exactly; a double there stands for its neighbours too, so
 * it is held against the double nearest to the bound.
 */
export const integer = (least: number | bigint, most: number | bigint): Rule => {
  const isWhole = (value: unknown): value is number | bigint => typeof value === 'bigint' || Number.isInteger(value);
  const fits = (value: number | bigint) =>
    typeof value === 'bigint'
      ? value >= BigInt(least) && value <= BigInt(most)
      : value >= Number(least) && value <= Number(most);
  return (value, pointer) => {
    if (!isWhole(value) || !fits(value)) refuse(pointer, value, `it must be a whole number from ${least} to ${most}`);
  };
};

export const int32 = integer(-(2 ** 31), 2 ** 31 - 1);
export const int64 = integer(-(2n ** 63n), 2n ** 63n - 1n);
export const uint16 = integer(0, 2 ** 16 - 1);
export const uint32 = integer(0, 2 ** 32 - 1);
export const uint64 = integer(0, 2n ** 64n - 1n);

export const oneOf =
  (...names: readonly string[]): Rule =>
  (value, pointer) => {
    if (typeof value !== 'string' || !names.includes(value)) refuse(pointer, value, `use one of ${names.join(', ')}`);
  };

export const matching =
  (pattern: RegExp, wanted: string): Rule =>
  (value, pointer) => {
    if (typeof value !== 'string' || !pattern.test(value)) refuse(pointer, value, wanted);
  };

export const list =
  (of: Rule): Rule =>
  (value, pointer) => {
    if (!Array.isArray(value)) refuse(pointer, value, 'it must be a list');
    value.forEach((entry: unknown, i) => {
      of(entry, `${pointer}/${i}`);
    });
  };

export const mapOf =
  (of: Rule): Rule =>
  (value, pointer) => {
    if (!isObject(value)) refuse(pointer, value, 'it must be an object');
    for (const [name, entry] of Object.entries(value)) of(entry, `${pointer}/${escaped(name)}`);
  };

/**
 * An object with these fields. One that is absent or null is not checked, unless it is required; unknown ones are ignored
 * (runtime-spec: config.md#extensibility).
 */
export const object =
  (fields: Readonly<Record<string, Rule>>, required: readonly string[] = []): Rule =>
  (value, pointer) => {
    if (!isObject(value)) refuse(pointer, value, 'it must be an object');
    for (const name of required)
      if (value[name] === undefined || value[name] === null) refuse(`${pointer}/${name}`, undefined, 'it is required');
    for (const [name, rule] of Object.entries(fields)) {
      const field = value[name];
      if (field !== undefined && field !== null) rule(field, `${pointer}/${escaped(name)}`);
    }
  };
