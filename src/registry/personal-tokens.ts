import { createHash, randomBytes } from 'node:crypto';
import { GantryError } from '#errors/index.ts';
import type { Account, Accounts } from './accounts.ts';
import type { Database } from './database.ts';
import type { Action } from './roles.ts';

/** What a token may at most do, each including what comes before it. `create` adds tags and never replaces one. */
export const tokenScopes = ['read', 'create', 'write', 'delete'] as const;
export type TokenScope = (typeof tokenScopes)[number];

const actions: Readonly<Record<TokenScope, readonly Action[]>> = {
  read: ['pull'],
  create: ['pull', 'create'],
  write: ['pull', 'create', 'overwrite'],
  delete: ['pull', 'create', 'overwrite', 'delete'],
};

/** A secret that a person makes for a machine, as a password for `login`; it does no more than its scope says. */
export interface PersonalToken {
  readonly id: number;
  readonly name: string;
  readonly scope: TokenScope;
  /** The one repository it is for; undefined for all of its owner's. */
  readonly repository: string | undefined;
  /** Milliseconds since 1970; `expires` and `used` undefined for never. */
  readonly created: number;
  readonly expires: number | undefined;
  readonly used: number | undefined;
}

/** What a caller with such a token is held to. */
export interface TokenLimit {
  readonly token: number;
  readonly actions: readonly Action[];
  readonly repository: string | undefined;
}

export interface PersonalTokens {
  /** The secret is told this once. @throws GantryError invalid (name, scope, expiry), exhausted beyond a hundred */
  create(
    account: Account,
    token: { readonly name: string; readonly scope: string; readonly repository?: string; readonly expires?: number },
  ): Promise<{ secret: string; token: PersonalToken }>;
  list(account: Account): Promise<readonly PersonalToken[]>;
  /** @throws GantryError not-found (code `token-unknown`) */
  revoke(account: Account, id: number): Promise<void>;
  /** Who logs in with a name and a secret; undefined where it is wrong, expired, or somebody else's. Notes its use. */
  login(name: string, secret: string): Promise<{ account: Account; limit: TokenLimit } | undefined>;
  /** The limit of a token that is still good, for what was issued on the strength of it. */
  limitOf(id: number): Promise<TokenLimit | undefined>;
}

const prefix = 'gantry_pat_';
const most = 100;
/** Uses closer together than this are one, so that a pull writes nothing for each of its requests. */
const usedEvery = 60_000;

export const isPersonalToken = (password: string): boolean => password.startsWith(prefix);

export function createPersonalTokens(
  { db, accounts }: { readonly db: Database; readonly accounts: Pick<Accounts, 'find'> },
  { now = Date.now }: { readonly now?: () => number } = {},
): PersonalTokens {
  const insert = db.prepare(
    `INSERT INTO personal_tokens (account, hash, name, scope, repository, created, expires) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING *`,
  );
  const byHash = db.prepare('SELECT * FROM personal_tokens WHERE hash = ?');
  const byId = db.prepare('SELECT * FROM personal_tokens WHERE id = ?');
  const ofAccount = db.prepare('SELECT * FROM personal_tokens WHERE account = ? ORDER BY id DESC');
  const drop = db.prepare('DELETE FROM personal_tokens WHERE account = ? AND id = ?');
  const setUsed = db.prepare('UPDATE personal_tokens SET used = ? WHERE id = ?');
  const hash = (secret: string) => createHash('sha256').update(secret).digest();
  const isGood = ({ expires }: PersonalToken) => expires === undefined || expires > now();
  const limit = ({ id, scope, repository }: PersonalToken): TokenLimit => ({
    token: id,
    actions: actions[scope],
    repository,
  });

  return {
    async create(account, { name, scope, repository, expires }) {
      const known = tokenScopes.find((candidate) => candidate === scope);
      if (known === undefined)
        throw new GantryError('invalid', `"${scope}" is not what a token may do: ${tokenScopes.join(', ')}`);
      if (name.trim() === '' || name.length > 60)
        throw new GantryError('invalid', 'give the token a name of 1 to 60 characters, such as where it is used');
      if (expires !== undefined && !(expires > now()))
        throw new GantryError('invalid', 'the token would have expired already; choose a later date');
      if ((await ofAccount.all(account.id)).length >= most)
        throw new GantryError('exhausted', `an account has at most ${most} tokens; revoke one that is not used`);
      const secret = `${prefix}${randomBytes(32).toString('base64url')}`;
      const row = await insert.get(
        account.id,
        hash(secret),
        name.trim(),
        known,
        repository ?? null,
        now(),
        expires ?? null,
      );
      return { secret, token: tokenOf(row ?? {}) };
    },
    list: async (account) => (await ofAccount.all(account.id)).map(tokenOf),
    async revoke(account, id) {
      if ((await drop.run(account.id, id)) === 0)
        throw new GantryError('not-found', `${account.name} has no token ${id}`, { code: 'token-unknown' });
    },
    async login(name, secret) {
      const row = await byHash.get(hash(secret));
      if (row === undefined) return undefined;
      const token = tokenOf(row);
      const account = await accounts.find(Number(row.account));
      if (account === undefined || account.name !== name || !isGood(token)) return undefined;
      if (now() - (token.used ?? 0) > usedEvery) await setUsed.run(now(), token.id);
      return { account, limit: limit(token) };
    },
    async limitOf(id) {
      const row = await byId.get(id);
      const token = row === undefined ? undefined : tokenOf(row);
      return token !== undefined && isGood(token) ? limit(token) : undefined;
    },
  };
}

const tokenOf = (row: Record<string, unknown>): PersonalToken => ({
  id: Number(row.id),
  name: String(row.name),
  scope: row.scope as TokenScope,
  repository: row.repository === null ? undefined : String(row.repository),
  created: Number(row.created),
  expires: row.expires === null ? undefined : Number(row.expires),
  used: row.used === null ? undefined : Number(row.used),
});
