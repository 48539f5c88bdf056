import { createHmac, randomBytes } from 'node:crypto';
import { GantryError, isGantryError } from '#errors/index.ts';
import { checkAccountName } from './account-name.ts';
import type { Database } from './database.ts';
import { createLoginThrottle, type LoginThrottle } from './login-throttle.ts';
import { checkPassword, hashPassword, verifyPassword } from './password.ts';

/** A person, or an organisation (a class, a team, a company): both own a namespace; only a person logs in. */
export interface Account {
  readonly id: number;
  readonly name: string;
  readonly kind: 'user' | 'org';
  /** Whether this person runs the hub: accounts, limits and records of all, but nobody's images. */
  readonly admin: boolean;
  /** A line about the account, by itself. */
  readonly about: string;
  /** Bytes and repositories it may hold; undefined is without limit. */
  readonly quota: { readonly bytes: number | undefined; readonly repositories: number | undefined };
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
  /** An organisation, which nobody logs in as; `owner`, where there is one, is its first member. @throws as `create` */
  createOrg(name: string, owner?: Account): Promise<Account>;
  /**
   * Checks a login from a network address. A wrong password and an unknown account take the same work and give the same
   * answer. @throws GantryError unauthorized (code `login-wrong`), LoginThrottled, unavailable (code `busy`)
   */
  login(name: string, password: string, address: string): Promise<Account>;
  find(id: number): Promise<Account | undefined>;
  named(name: string): Promise<Account | undefined>;
  /** A named account of a kind. @throws GantryError not-found (code `account-unknown`) */
  mustFind(name: string, kind?: Account['kind']): Promise<Account>;
  list(): Promise<readonly (Account & { readonly repositories: number })[]>;
  /** Changes what is given. @throws GantryError invalid */
  update(
    id: number,
    change: {
      readonly about?: string;
      readonly admin?: boolean;
      readonly quotaBytes?: number | null;
      readonly quotaRepositories?: number | null;
    },
  ): void;
  /** @throws GantryError not-found, invalid */
  changePassword(name: string, password: string): Promise<void>;
  setDefaultPrivate(id: number, value: boolean): Promise<void>;
  /** Removes the account and its repositories; says how many those were. @throws GantryError not-found */
  remove(name: string): Promise<{ repositories: number }>;
}

const rememberFor = 5 * 60_000;
const mostRemembered = 10_000;

export function createAccounts(
  { db }: { readonly db: Database },
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
  const insertOrg = db.prepare("INSERT INTO accounts (name, password, created, kind) VALUES (?, '', ?, 'org')");
  const insertOwner = db.prepare("INSERT INTO members (org, account, role) VALUES (?, ?, 'owner')");
  const setPassword = db.prepare(
    "UPDATE accounts SET password = ?, password_version = password_version + 1 WHERE name = ? AND kind = 'user'",
  );
  const setters = {
    about: db.prepare('UPDATE accounts SET about = ? WHERE id = ?'),
    admin: db.prepare("UPDATE accounts SET admin = ? WHERE id = ? AND kind = 'user'"),
    quotaBytes: db.prepare('UPDATE accounts SET quota_bytes = ? WHERE id = ?'),
    quotaRepositories: db.prepare('UPDATE accounts SET quota_repositories = ? WHERE id = ?'),
  };
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

  const find = async (id: number) => accountOf(await byId.get(id));
  const named = async (name: string) => accountOf(await byName.get(name));
  const mustFind = async (name: string, kind?: Account['kind']): Promise<Account> => {
    const account = await named(name);
    if (account === undefined || (kind !== undefined && account.kind !== kind))
      throw new GantryError('not-found', `there is no ${kind === 'org' ? 'organisation' : 'account'} "${name}"`, {
        code: 'account-unknown',
      });
    return account;
  };
  const taken = (name: string) =>
    new GantryError('conflict', `the account "${name}" exists already; choose another name`, {
      code: 'account-exists',
    });

  const recall = async (print: string): Promise<Account | undefined> => {
    const entry = remembered.get(print);
    if (entry === undefined) return undefined;
    const account = await find(entry.id);
    if (entry.until > Date.now() && account?.passwordVersion === entry.passwordVersion) return account;
    remembered.delete(print);
    return undefined;
  };

  const check = async (name: string, password: string, address: string): Promise<Account> => {
    const attempt = throttle.begin(name, address);
    const found = await byName.get(name);
    const row = found?.kind === 'user' ? found : undefined;
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
      if ((await named(name)) !== undefined) throw taken(name);
      const hash = await hashPassword(password);
      return await db.transact([`name ${name}`], async () => {
        if ((await named(name)) !== undefined) throw taken(name);
        await insert.run(name, hash, Date.now());
        return await mustFind(name);
      });
    },
    async createOrg(name, owner) {
      checkAccountName(name);
      return await db.transact([`name ${name}`], async () => {
        if ((await named(name)) !== undefined) throw taken(name);
        await insertOrg.run(name, Date.now());
        const org = await mustFind(name);
        if (owner !== undefined) await insertOwner.run(org.id, owner.id);
        return org;
      });
    },
    async update(id, { about, admin, quotaBytes, quotaRepositories }) {
      for (const quota of [quotaBytes, quotaRepositories])
        if (typeof quota === 'number' && (!Number.isSafeInteger(quota) || quota < 0))
          throw new GantryError('invalid', `a quota of ${quota} is not a whole number from 0 up`);
      if (about !== undefined && about.length > 300)
        throw new GantryError('invalid', `a line about an account has at most 300 characters, not ${about.length}`);
      await db.transact([], async () => {
        if (about !== undefined) await setters.about.run(about, id);
        if (admin !== undefined) await setters.admin.run(admin ? 1 : 0, id);
        if (quotaBytes !== undefined) await setters.quotaBytes.run(quotaBytes, id);
        if (quotaRepositories !== undefined) await setters.quotaRepositories.run(quotaRepositories, id);
      });
    },
    mustFind,
    async login(name, password, address) {
      const print = fingerprint(name, password);
      const known = await recall(print);
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
    list: async () =>
      (await all.all()).flatMap((row) => {
        const account = accountOf(row);
        return account === undefined ? [] : [{ ...account, repositories: Number(row.repositories) }];
      }),
    async changePassword(name, password) {
      await mustFind(name, 'user');
      checkPassword(password);
      const hash = await hashPassword(password);
      if ((await setPassword.run(hash, name)) === 0) await mustFind(name);
    },
    setDefaultPrivate: async (id, value) => void (await setPrivate.run(value ? 1 : 0, id)),
    remove: async (name) =>
      db.transact([], async () => {
        const { id } = await mustFind(name);
        return await db.transact([`namespace ${id}`], async () => {
          const repositories = Number((await countRepositories.get(id))?.n);
          await drop.run(id);
          return { repositories };
        });
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
    kind: row.kind === 'org' ? 'org' : 'user',
    admin: row.admin === 1,
    about: String(row.about),
    quota: {
      bytes: row.quota_bytes === null ? undefined : Number(row.quota_bytes),
      repositories: row.quota_repositories === null ? undefined : Number(row.quota_repositories),
    },
    passwordVersion: Number(row.password_version),
    defaultPrivate: row.default_private === 1,
    created: Number(row.created),
  };
}
