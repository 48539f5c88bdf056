import { createHmac, randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { GantryError, isGantryError } from '#errors/index.ts';
import { checkAccountName } from './account-name.ts';
import { transact } from './database.ts';
import { createLoginThrottle, type LoginThrottle } from './login-throttle.ts';
import { checkPassword, hashPassword, verifyPassword } from './password.ts';

export interface Account {
  readonly id: number;
  readonly name: string;
  /** Goes up with each change of the password: whatever was issued before is worth nothing then. */
  readonly passwordVersion: number;
  /** Whether repositories that a first push makes are private. */
  readonly defaultPrivate: boolean;
  /** Milliseconds since 1970. */
  readonly created: number;
}

/** People who may push. Another process may change them at any time, so every question goes to the database. */
export interface Accounts {
  /** @throws GantryError invalid (name or password), conflict (code `account-exists`) */
  create(name: string, password: string): Promise<Account>;
  /**
   * Checks a login from a network address. A wrong password and an unknown account take the same work and give the same
   * answer. @throws GantryError unauthorized (code `login-wrong`), LoginThrottled, unavailable (code `busy`)
   */
  login(name: string, password: string, address: string): Promise<Account>;
  find(id: number): Account | undefined;
  named(name: string): Account | undefined;
  list(): readonly (Account & { readonly repositories: number })[];
  /** @throws GantryError not-found, invalid */
  changePassword(name: string, password: string): Promise<void>;
  setDefaultPrivate(id: number, value: boolean): void;
  /** Removes the account and its repositories; says how many those were. @throws GantryError not-found */
  remove(name: string): { repositories: number };
}

const rememberFor = 5 * 60_000;
const mostRemembered = 10_000;

export function createAccounts(
  { db }: { readonly db: DatabaseSync },
  {
    throttle = createLoginThrottle(),
    verify = verifyPassword,
  }: { throttle?: LoginThrottle; verify?: typeof verifyPassword } = {},
): Accounts {
  const byId = db.prepare('SELECT * FROM accounts WHERE id = ?');
  const byName = db.prepare('SELECT * FROM accounts WHERE name = ?');
  const insert = db.prepare('INSERT INTO accounts (name, password, created) VALUES (?, ?, ?)');
  const all = db.prepare(
    'SELECT a.*, (SELECT count(*) FROM repositories r WHERE r.account = a.id) AS repositories FROM accounts a ORDER BY name',
  );
  const setPassword = db.prepare(
    'UPDATE accounts SET password = ?, password_version = password_version + 1 WHERE name = ?',
  );
  const setPrivate = db.prepare('UPDATE accounts SET default_private = ? WHERE id = ?');
  const countRepositories = db.prepare('SELECT count(*) AS n FROM repositories WHERE account = ?');
  const drop = db.prepare('DELETE FROM accounts WHERE id = ?');

  /** Stands in for the hash of an account that does not exist. */
  let dummy: Promise<string> | undefined;
  const key = randomBytes(32);
  const fingerprint = (name: string, password: string) =>
    createHmac('sha256', key)
      .update(JSON.stringify([name, password]))
      .digest('base64');
  /** Logins found right a moment ago: a push asks for a dozen tokens, each with the password. */
  const remembered = new Map<string, { id: number; passwordVersion: number; until: number }>();
  const underway = new Map<string, Promise<Account>>();

  const find = (id: number) => accountOf(byId.get(id));
  const named = (name: string) => accountOf(byName.get(name));
  const mustFind = (name: string): Account => {
    const account = named(name);
    if (account === undefined)
      throw new GantryError('not-found', `there is no account "${name}"`, { code: 'account-unknown' });
    return account;
  };

  const recall = (print: string): Account | undefined => {
    const entry = remembered.get(print);
    if (entry === undefined) return undefined;
    const account = find(entry.id);
    if (entry.until > Date.now() && account?.passwordVersion === entry.passwordVersion) return account;
    remembered.delete(print);
    return undefined;
  };

  const check = async (name: string, password: string, address: string): Promise<Account> => {
    const attempt = throttle.begin(name, address);
    const row = byName.get(name);
    dummy ??= hashPassword(randomBytes(16).toString('hex'));
    const standIn = await dummy;
    const right = await verify(password, row === undefined ? standIn : String(row.password));
    const account = accountOf(row);
    if (!right || account === undefined)
      throw new GantryError('unauthorized', 'the account name or the password is wrong', { code: 'login-wrong' });
    attempt.succeeded();
    return account;
  };

  return {
    find,
    named,
    async create(name, password) {
      checkAccountName(name);
      checkPassword(password);
      const taken = () =>
        new GantryError('conflict', `the account "${name}" exists already; choose another name`, {
          code: 'account-exists',
        });
      if (named(name) !== undefined) throw taken();
      const hash = await hashPassword(password);
      return transact(db, () => {
        if (named(name) !== undefined) throw taken();
        insert.run(name, hash, Date.now());
        return mustFind(name);
      });
    },
    async login(name, password, address) {
      const print = fingerprint(name, password);
      const known = recall(print);
      if (known !== undefined) return known;
      // The same login from several connections at once is one attempt.
      const flight = `${address} ${print}`;
      const attempt =
        underway.get(flight) ?? check(name, password, address).finally(() => void underway.delete(flight));
      underway.set(flight, attempt);
      const account = await attempt;
      if (remembered.size >= mostRemembered) remembered.clear();
      const { id, passwordVersion } = account;
      remembered.set(print, { id, passwordVersion, until: Date.now() + rememberFor });
      return account;
    },
    list: () =>
      all.all().flatMap((row) => {
        const account = accountOf(row);
        return account === undefined ? [] : [{ ...account, repositories: Number(row.repositories) }];
      }),
    async changePassword(name, password) {
      mustFind(name);
      checkPassword(password);
      const hash = await hashPassword(password);
      if (setPassword.run(hash, name).changes === 0) mustFind(name);
    },
    setDefaultPrivate: (id, value) => void setPrivate.run(value ? 1 : 0, id),
    remove: (name) =>
      transact(db, () => {
        const { id } = mustFind(name);
        const repositories = Number(countRepositories.get(id)?.n);
        drop.run(id);
        return { repositories };
      }),
  };
}

/** Whether an error says that the name or password was wrong. */
export const isLoginWrong = (error: unknown): boolean =>
  isGantryError(error, 'unauthorized') && error.code === 'login-wrong';

function accountOf(row: Record<string, unknown> | undefined): Account | undefined {
  if (row === undefined) return undefined;
  return {
    id: Number(row.id),
    name: String(row.name),
    passwordVersion: Number(row.password_version),
    defaultPrivate: row.default_private === 1,
    created: Number(row.created),
  };
}
