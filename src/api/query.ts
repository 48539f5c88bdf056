import { GantryError, messageOf } from '#errors/index.ts';
import type { Credentials } from '#images/index.ts';

export type Query = Readonly<Record<string, string | undefined>>;

/** Docker's booleans in a query: 1, true, True, on. */
export const flag = (value: string | undefined, fallback = false): boolean =>
  value === undefined || value === '' ? fallback : !/^(?:0|false|no|none)$/i.test(value);

/** Every value of a parameter that may come several times. */
export const queryValues = (url: string | undefined, name: string): readonly string[] =>
  new URL(url ?? '/', 'http://engine').searchParams.getAll(name).filter((value) => value !== '');

/** An integer of a query. @throws GantryError invalid */
export function integer(name: string, value: string | undefined): number | undefined {
  if (value === undefined || value === '') return undefined;
  const number = Number(value);
  if (!Number.isInteger(number)) throw new GantryError('invalid', `the parameter ${name}="${value}" is not an integer`);
  return number;
}

/** `filters={"name":["x"]}` or the older `{"name":{"x":true}}`. @throws GantryError invalid */
export function filters(value: string | undefined): ReadonlyMap<string, readonly string[]> {
  if (value === undefined || value === '') return new Map();
  try {
    const parsed = JSON.parse(value) as Record<string, readonly string[] | Record<string, boolean>>;
    return new Map(
      Object.entries(parsed).map(([key, v]) => [
        key,
        Array.isArray(v) ? v.map(String) : Object.keys(v).filter((k) => (v as Record<string, boolean>)[k]),
      ]),
    );
  } catch (error) {
    throw new GantryError('invalid', `invalid filter ${value}: ${messageOf(error)}`);
  }
}

/** @throws GantryError invalid for a filter that is none of the known ones: none is passed over in silence */
export function refuseFilters(wanted: ReadonlyMap<string, unknown>, known: readonly string[]): void {
  for (const key of wanted.keys())
    if (!known.includes(key))
      throw new GantryError('invalid', `invalid filter '${key}'; known are ${known.join(', ')}`);
}

/** Whether labels have each wanted `key` or `key=value`. */
export const labelsFit = (labels: Readonly<Record<string, string>>, wanted: readonly string[] = []): boolean =>
  wanted.every((text) => {
    const at = text.indexOf('=');
    if (at < 0) return Object.hasOwn(labels, text);
    const key = text.slice(0, at);
    return Object.hasOwn(labels, key) && labels[key] === text.slice(at + 1);
  });

/** A filter's regular expression. @throws GantryError invalid */
export function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new GantryError('invalid', `the filter "${text}" is not a pattern: ${messageOf(error)}`);
  }
}

/** The `X-Registry-Auth` header: base64url JSON. */
export function credentialsOf(header: string | string[] | undefined): Credentials | undefined {
  if (typeof header !== 'string' || header === '') return undefined;
  try {
    const auth = JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as Readonly<Record<string, string>>;
    if (auth.identitytoken) return { identityToken: auth.identitytoken };
    return auth.username ? { username: auth.username, password: auth.password ?? '' } : undefined;
  } catch (error) {
    throw new GantryError('invalid', `the X-Registry-Auth header is not base64url JSON: ${messageOf(error)}`);
  }
}

/** `since` of logs and events: seconds, or RFC 3339. */
export function time(value: string | undefined): Date | undefined {
  if (value === undefined || value === '' || value === '0') return undefined;
  const date = /^\d+(?:\.\d+)?$/.test(value) ? new Date(Number(value) * 1000) : new Date(value);
  if (Number.isNaN(date.getTime())) throw new GantryError('invalid', `"${value}" is not a time`);
  return date;
}
