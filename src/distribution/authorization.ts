import { GantryError } from '#errors/index.ts';
import type { Credentials } from './registry-client.ts';
import { jsonOf, responseError } from './response-error.ts';
import type { Transport } from './transport.ts';

export interface Challenge {
  readonly scheme: 'bearer' | 'basic';
  readonly parameters: Readonly<Record<string, string>>;
}

/** Reads a `WWW-Authenticate` header; Bearer is preferred (RFC 9110 §11.6.1). Undefined where neither is offered. */
export function parseChallenge(header: string | undefined): Challenge | undefined {
  if (header === undefined) return undefined;
  const read = (scheme: 'bearer' | 'basic'): Challenge | undefined => {
    const start = new RegExp(`(?:^|,)\\s*${scheme}(?:\\s+|$)`, 'i').exec(header);
    if (start === null) return undefined;
    const parameters: Record<string, string> = {};
    let rest = header.slice(start.index + start[0].length);
    for (;;) {
      const match = /^\s*,?\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/.exec(rest);
      if (match === null) break;
      parameters[(match[1] ?? '').toLowerCase()] = match[2]?.replace(/\\(.)/g, '$1') ?? match[3] ?? '';
      rest = rest.slice(match[0].length);
    }
    return { scheme, parameters };
  };
  return read('bearer') ?? read('basic');
}

export interface Authorizer {
  /** The refresh token that an account's last login at a host brought. */
  identityToken(host: string, credentials: Credentials): string | undefined;
  /** The header known to be wanted for a scope, without asking anyone. */
  known(host: string, scope: string, credentials: Credentials | undefined): string | undefined;
  /** Answers a challenge: a fresh header, or undefined where there is nothing to answer with. */
  answer(
    host: string,
    challenge: Challenge,
    scope: string,
    credentials: Credentials | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined>;
}

/** Distribution's token specification, and OAuth2's. */
interface TokenAnswer {
  token?: string;
  access_token?: string;
  refresh_token?: string;
  expires_in?: number;
}

const basic = (credentials: Credentials | undefined): string | undefined =>
  credentials?.username === undefined || credentials.username === ''
    ? undefined
    : `Basic ${Buffer.from(`${credentials.username}:${credentials.password ?? ''}`).toString('base64')}`;

/** Docker's token flow and Basic; tokens are kept per host, account and scope until shortly before they expire. */
export function createAuthorizer(transport: Transport): Authorizer {
  const kept = new Map<string, { header: string; until: number }>();
  const refreshTokens = new Map<string, string>();
  const keyOf = (host: string, scope: string, c: Credentials | undefined) =>
    JSON.stringify([host, scope, c?.username, c?.password, c?.identityToken]);

  return {
    identityToken: (host, credentials) => refreshTokens.get(keyOf(host, '', credentials)),
    known(host, scope, credentials) {
      const key = keyOf(host, scope, credentials);
      // A password is the same for every scope.
      const entry = kept.get(key) ?? kept.get(keyOf(host, 'basic', credentials));
      if (entry === undefined) return undefined;
      if (entry.until > Date.now()) return entry.header;
      kept.delete(key);
      return undefined;
    },

    async answer(host, challenge, scope, credentials, signal) {
      const key = keyOf(host, scope, credentials);
      if (challenge.scheme === 'basic') {
        const header = basic(credentials);
        if (header !== undefined)
          kept.set(keyOf(host, 'basic', credentials), { header, until: Number.POSITIVE_INFINITY });
        return header;
      }
      const realm = challenge.parameters.realm;
      if (realm === undefined || !URL.canParse(realm))
        throw new GantryError(
          'unavailable',
          `${host} asks for a token and names no place to get it (realm "${realm}")`,
        );
      const url = new URL(realm);
      if (url.protocol !== 'https:' && credentials !== undefined && !transport.mayBeClear(url.host))
        throw new GantryError(
          'unavailable',
          `${host} wants the password sent in the clear to ${url.host}; refused (add it to the insecure registries if that is meant)`,
        );
      const service = challenge.parameters.service;
      const scopes = scope === '' ? [] : scope.split(' ');
      const ask = async () => {
        if (credentials?.identityToken !== undefined && credentials.identityToken !== '') {
          const form = new URLSearchParams({
            grant_type: 'refresh_token',
            refresh_token: credentials.identityToken,
            client_id: 'gantry',
          });
          if (service !== undefined) form.set('service', service);
          if (scope !== '') form.set('scope', scope);
          return await transport.send({
            method: 'POST',
            url,
            headers: { 'content-type': 'application/x-www-form-urlencoded' },
            body: Buffer.from(form.toString()),
            signal,
          });
        }
        if (service !== undefined) url.searchParams.set('service', service);
        for (const one of scopes) url.searchParams.append('scope', one);
        const header = basic(credentials);
        if (header !== undefined) url.searchParams.set('account', credentials?.username ?? '');
        if (header !== undefined && scope === '') {
          url.searchParams.set('offline_token', 'true');
          url.searchParams.set('client_id', 'gantry');
        }
        return await transport.send({
          method: 'GET',
          url,
          headers: header === undefined ? {} : { authorization: header },
          signal,
        });
      };
      const response = await ask();
      if (response.statusCode !== 200) throw await responseError(`no token for ${scope || 'login'}`, host, response);
      const body = await jsonOf<TokenAnswer>(url.host, response);
      if (scope === '' && body.refresh_token !== undefined) refreshTokens.set(key, body.refresh_token);
      const token = body.token ?? body.access_token;
      if (token === undefined) throw new GantryError('unavailable', `${url.host} answered without a token for ${host}`);
      const header = `Bearer ${token}`;
      // 60 s is the default of the token specification; a tenth is kept back for the way.
      kept.set(key, { header, until: Date.now() + (body.expires_in ?? 60) * 900 });
      return header;
    },
  };
}
