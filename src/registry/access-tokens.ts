import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { GantryError } from '#errors/index.ts';
import type { Account, Accounts } from './accounts.ts';
import type { Database } from './database.ts';
import type { PersonalTokens, TokenLimit } from './personal-tokens.ts';

/** One resource and what may be done to it, as in `repository:ana/hello:pull,push`. */
export interface Scope {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** Who asks. A token's `scopes` narrow what its account may do; undefined (a password, a session) narrows nothing. */
export interface Caller {
  readonly account: Account | undefined;
  readonly scopes: readonly Scope[] | undefined;
  /** What a personal token holds this caller to; absent for a person. */
  readonly limit?: TokenLimit | undefined;
}

export const anonymous: Caller = { account: undefined, scopes: undefined };

/** Short-lived signed tokens. They name the account and what was asked for; whether it may do that is asked anew each time. */
export interface AccessTokens {
  issue(
    caller: Pick<Caller, 'account' | 'limit'>,
    scopes: readonly Scope[],
  ): { token: string; issued: Date; expiresIn: number };
  /** @throws GantryError unauthorized (code `token-invalid`): not ours, expired, or its account is gone or has a new password */
  read(token: string): Promise<Caller>;
}

const lifetime = 300;
const header = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url');

interface Claims {
  readonly sub: number | null;
  readonly ver: number;
  readonly exp: number;
  readonly iat: number;
  readonly access: readonly Scope[];
  /** The personal token that it was issued to. */
  readonly pat?: number;
}

/** Tokens as JWTs under an HMAC key kept in the database, so that a restart of the hub ends nobody's push. */
export async function createAccessTokens(
  {
    db,
    accounts,
    personalTokens,
  }: {
    readonly db: Database;
    readonly accounts: Pick<Accounts, 'find'>;
    readonly personalTokens: Pick<PersonalTokens, 'limitOf'>;
  },
  { now = Date.now }: { readonly now?: () => number } = {},
): Promise<AccessTokens> {
  await db
    .prepare('INSERT INTO keys (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING')
    .run('access-tokens', randomBytes(32));
  const key = (await db.prepare('SELECT value FROM keys WHERE name = ?').get('access-tokens'))?.value;
  if (!(key instanceof Uint8Array)) throw new GantryError('corrupt', "the hub's signing key cannot be read");
  const sign = (body: string) => createHmac('sha256', key).update(body).digest();
  const refuse = (why: string) =>
    new GantryError('unauthorized', `the token ${why}; log in again`, { code: 'token-invalid' });

  return {
    issue({ account, limit }, scopes) {
      const iat = Math.floor(now() / 1000);
      const claims: Claims = {
        sub: account?.id ?? null,
        ver: account?.passwordVersion ?? 0,
        iat,
        exp: iat + lifetime,
        access: scopes,
        ...(limit === undefined ? {} : { pat: limit.token }),
      };
      const body = `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
      return {
        token: `${body}.${sign(body).toString('base64url')}`,
        issued: new Date(iat * 1000),
        expiresIn: lifetime,
      };
    },
    async read(token) {
      const end = token.lastIndexOf('.');
      const body = token.slice(0, end);
      const given = Buffer.from(token.slice(end + 1), 'base64url');
      const wanted = sign(body);
      if (end < 0 || given.length !== wanted.length || !timingSafeEqual(given, wanted))
        throw refuse('was not issued here');
      // Signed by us, so it has our shape.
      const claims = JSON.parse(Buffer.from(body.slice(header.length + 1), 'base64url').toString()) as Claims;
      if (claims.exp * 1000 <= now()) throw refuse('has expired');
      if (claims.sub === null) return { account: undefined, scopes: claims.access };
      const account = await accounts.find(claims.sub);
      if (account?.passwordVersion !== claims.ver) throw refuse('belongs to an account that is gone or changed');
      if (claims.pat === undefined) return { account, scopes: claims.access };
      const limit = await personalTokens.limitOf(claims.pat);
      if (limit === undefined) throw refuse('came from a personal token that is revoked or has expired');
      return { account, scopes: claims.access, limit };
    },
  };
}
