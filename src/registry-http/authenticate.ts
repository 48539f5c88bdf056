import type { FastifyRequest } from 'fastify';
import { GantryError } from '#errors/index.ts';
import { anonymous, type Caller, isLoginWrong, isPersonalToken } from '#registry/index.ts';
import type { HubDeps } from './deps.ts';
import { ownUrl } from './own-url.ts';

/** Names the hub in challenges and token requests. */
export const service = 'gantry-hub';

/**
 * Who sends a request, by its Authorization header: a token of ours, a name and password, or nobody.
 * @throws GantryError unauthorized (`token-invalid`, `login-wrong`), LoginThrottled
 */
export async function authenticate(
  deps: Pick<HubDeps, 'accounts' | 'tokens' | 'personalTokens' | 'audit'>,
  request: FastifyRequest,
): Promise<Caller> {
  const token = /^bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (token !== undefined) return await deps.tokens.read(token);
  return await basicLogin(deps, request);
}

type LoginDeps = Pick<HubDeps, 'accounts' | 'personalTokens' | 'audit'>;

/** The caller of a Basic header; nobody where there is no header. @throws as `authenticate` */
export async function basicLogin(deps: LoginDeps, request: FastifyRequest): Promise<Caller> {
  const header = request.headers.authorization;
  if (header === undefined || header === '') return anonymous;
  const pair = Buffer.from(/^basic +(\S+)$/i.exec(header)?.[1] ?? '', 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  if (colon < 0)
    throw new GantryError('unauthorized', 'the Authorization header is not one that is taken here', {
      code: 'token-invalid',
    });
  return await login(deps, pair.slice(0, colon), pair.slice(colon + 1), request.ip);
}

/** By a password, or by a personal token in its place. @throws GantryError unauthorized (`login-wrong`), LoginThrottled */
export async function login(
  { accounts, personalTokens, audit }: LoginDeps,
  name: string,
  password: string,
  address: string,
): Promise<Caller> {
  const found = isPersonalToken(password) ? await personalTokens.login(name, password) : undefined;
  if (found !== undefined) return { ...found, scopes: undefined };
  try {
    return { account: await accounts.login(name, password, address), scopes: undefined };
  } catch (error) {
    if (isLoginWrong(error)) await audit.record(name.slice(0, 39), 'login.refused', name.slice(0, 39), address);
    throw error;
  }
}

/** The `WWW-Authenticate` header that sends a client to our token endpoint (Docker's token authentication). */
export function challenge(request: FastifyRequest, scope: string, error: GantryError): string {
  const why =
    error.code === 'scope-missing'
      ? ',error="insufficient_scope"'
      : error.code === 'token-invalid'
        ? ',error="invalid_token"'
        : '';
  const wanted = scope === '' ? '' : `,scope="${scope}"`;
  return `Bearer realm="${ownUrl(request)}/token",service="${service}"${wanted}${why}`;
}
