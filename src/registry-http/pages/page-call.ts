import type { FastifyRequest } from 'fastify';
import { GantryError } from '#errors/index.ts';
import type { Account, Caller } from '#registry/index.ts';
import type { HubDeps } from '../deps.ts';
import { sessionAccount } from './page-session.ts';

export const queryOf = (request: FastifyRequest): URLSearchParams =>
  new URLSearchParams(request.url.split('?', 2)[1] ?? '');

/** A value of the query that must be there. @throws GantryError invalid, naming it */
export function required(request: FastifyRequest, key: string): string {
  const value = queryOf(request).get(key);
  if (value === null || value === '') throw new GantryError('invalid', `the request does not say which ${key}`);
  return value;
}

/** A whole number of the query. @throws GantryError invalid */
export function requiredNumber(request: FastifyRequest, key: string): number {
  const value = required(request, key);
  if (!/^\d{1,15}$/.test(value)) throw new GantryError('invalid', `${key}=${value.slice(0, 40)} is not a number`);
  return Number(value);
}

/** Who asks, by the session's cookie. */
export const callerOf = async (deps: Pick<HubDeps, 'credentials'>, request: FastifyRequest): Promise<Caller> => ({
  account: await sessionAccount(deps, request),
  scopes: undefined,
});

/** @throws GantryError unauthorized (code `login-required`) */
export async function signedIn(deps: Pick<HubDeps, 'credentials'>, request: FastifyRequest): Promise<Account> {
  const account = await sessionAccount(deps, request);
  if (account === undefined) throw new GantryError('unauthorized', 'sign in first', { code: 'login-required' });
  return account;
}

interface FieldTypes {
  readonly string: string;
  readonly boolean: boolean;
  readonly number: number;
}
type Wanted = keyof FieldTypes | `${keyof FieldTypes}?` | 'number|null?';
type Field<Want extends Wanted> = Want extends keyof FieldTypes
  ? FieldTypes[Want]
  : Want extends `${infer Type extends keyof FieldTypes}?`
    ? FieldTypes[Type] | undefined
    : number | null | undefined;

/** The named fields of a JSON body, each of its type; `?` where it may be missing. @throws GantryError invalid, naming it */
export function fields<Shape extends Readonly<Record<string, Wanted>>>(
  request: FastifyRequest,
  shape: Shape,
): { readonly [Key in keyof Shape]: Field<Shape[Key]> } {
  const body = request.body;
  const found: Record<string, unknown> = {};
  for (const [key, wanted] of Object.entries(shape)) {
    const value: unknown =
      typeof body === 'object' && body !== null && Object.hasOwn(body, key) ? Reflect.get(body, key) : undefined;
    const [type = ''] = wanted.split(/[|?]/);
    const fits =
      wanted.endsWith('?') && (value === undefined || (value === null && wanted.includes('null')))
        ? true
        : typeof value === type;
    if (!fits) throw new GantryError('invalid', `the field "${key}" must be a ${type}`);
    found[key] = value;
  }
  return found as { readonly [Key in keyof Shape]: Field<Shape[Key]> };
}

export const isoTime = (time: number): string => new Date(time).toISOString();
