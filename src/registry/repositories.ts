import { GantryError } from '#errors/index.ts';
import { parseReference } from '#oci/index.ts';
import type { Caller } from './access-tokens.ts';
import type { Database } from './database.ts';
import { readableBy } from './roles.ts';

export interface Repository {
  readonly id: number;
  /** `<account>/<name…>` */
  readonly name: string;
  /** The id of the account it belongs to. */
  readonly owner: number;
  readonly private: boolean;
  /** Whether its tags, once set, stay as they are. */
  readonly immutable: boolean;
  /** Milliseconds since 1970 of the last push or removal. */
  readonly updated: number;
}

/** A page of a list in the order of names: what comes after `last`, at most `limit`. */
export interface Page {
  readonly last: string;
  readonly limit: number;
}

export interface Repositories {
  find(name: string): Promise<Repository | undefined>;
  /** The repository, made where it is not there yet; within the caller's transaction. */
  ensure(owner: number, name: string): Promise<Repository>;
  touch(repository: Repository): Promise<void>;
  setPrivate(repository: Repository, value: boolean): Promise<void>;
  setImmutable(repository: Repository, value: boolean): Promise<void>;
  /** The page about it, Markdown. @throws GantryError invalid beyond 64 kB */
  setReadme(repository: Repository, text: string): Promise<void>;
  readme(repository: Repository): Promise<string>;
  /** Takes it away with all that is in it. */
  remove(repository: Repository): Promise<void>;
  /** Repositories with something in them that the caller may read; `search` is a part of their names. */
  readable(caller: Caller, page: Page, search?: string): Promise<readonly Repository[]>;
  /** All repositories of a namespace that the caller may read, with those that hold nothing yet. */
  ownedBy(owner: number, caller: Caller, page: Page): Promise<readonly Repository[]>;
}

/** Checks a repository's name (distribution-spec: pulling manifests) and ours on top: an account's name comes first. */
export function checkRepositoryName(name: string): void {
  const fail = (why: string, cause?: unknown) =>
    new GantryError('invalid', `the repository name "${name.slice(0, 255)}" ${why}`, { code: 'name-invalid', cause });
  let parsed: string;
  try {
    parsed = parseReference(`hub.invalid/${name}`, null).repository;
  } catch (error) {
    throw fail('is not well-formed', error);
  }
  if (parsed !== name) throw fail('is not well-formed');
  if (!name.includes('/')) throw fail('needs an account before it: ACCOUNT/NAME');
}

/** The account's name in a repository's. */
export const namespaceOf = (repository: string): string => repository.slice(0, repository.indexOf('/'));

/** The largest page about a repository, in bytes. */
const readmeLimit = 64 << 10;

/** Whom a listing is for: a token that names its repositories gets what is public. */
const listingFor = ({ account, scopes, limit }: Caller): number => {
  const everything = scopes === undefined || scopes.some(({ type, name }) => type === 'registry' && name === 'catalog');
  return everything && limit?.repository === undefined ? (account?.id ?? -1) : -1;
};

export function createRepositories({ db }: { readonly db: Database }): Repositories {
  const one = db.prepare('SELECT * FROM repositories WHERE name = ?');
  const insert = db.prepare(
    `INSERT INTO repositories (account, name, private, updated)
       SELECT id, ?, default_private, ? FROM accounts WHERE id = ? ON CONFLICT DO NOTHING`,
  );
  const count = db.prepare('SELECT count(*) AS n FROM repositories WHERE account = ?');
  const quota = db.prepare('SELECT name, quota_repositories AS quota FROM accounts WHERE id = ?');
  const setUpdated = db.prepare('UPDATE repositories SET updated = ? WHERE id = ?');
  const setPrivate = db.prepare('UPDATE repositories SET private = ? WHERE id = ?');
  const setImmutable = db.prepare('UPDATE repositories SET immutable = ? WHERE id = ?');
  const setReadme = db.prepare('UPDATE repositories SET readme = ? WHERE id = ?');
  const drop = db.prepare('DELETE FROM repositories WHERE id = ?');
  const readable = db.prepare(
    `SELECT * FROM repositories r WHERE r.name > :last AND ${readableBy} AND (:search = '' OR replace(r.name, :search, '') <> r.name)
       AND EXISTS (SELECT 1 FROM manifests f WHERE f.repository = r.id) ORDER BY r.name LIMIT :limit`,
  );
  const owned = db.prepare(
    `SELECT * FROM repositories r WHERE r.account = :owner AND r.name > :last AND ${readableBy} ORDER BY r.name LIMIT :limit`,
  );

  const find = async (name: string): Promise<Repository | undefined> => {
    const row = await one.get(name);
    return row === undefined ? undefined : repositoryOf(row);
  };
  /** Within the transaction that made it, so that a refusal takes it back. */
  const checkQuota = async (owner: number): Promise<void> => {
    const row = await quota.get(owner);
    if (row === undefined || row.quota === null || Number((await count.get(owner))?.n) <= Number(row.quota)) return;
    throw new GantryError('forbidden', `${String(row.name)} may have ${String(row.quota)} repositories and has them`, {
      code: 'quota-exceeded',
    });
  };
  return {
    find,
    async ensure(owner, name) {
      const there = await find(name);
      if (there !== undefined) return there;
      await insert.run(name, Date.now(), owner);
      await checkQuota(owner);
      const repository = await find(name);
      if (repository === undefined)
        throw new GantryError('not-found', `the account of ${name} is gone`, { code: 'name-unknown' });
      return repository;
    },
    touch: async (repository) => void (await setUpdated.run(Date.now(), repository.id)),
    setPrivate: async (repository, value) => void (await setPrivate.run(value ? 1 : 0, repository.id)),
    setImmutable: async (repository, value) => void (await setImmutable.run(value ? 1 : 0, repository.id)),
    async setReadme(repository, text) {
      const size = Buffer.byteLength(text);
      if (size > readmeLimit)
        throw new GantryError('invalid', `the page has ${size} bytes; at most ${readmeLimit} are kept`);
      await setReadme.run(text, repository.id);
    },
    readme: async ({ name }) => String((await one.get(name))?.readme ?? ''),
    remove: ({ id, owner }) => db.transact([`namespace ${owner}`], async () => void (await drop.run(id))),
    readable: async (caller, { last, limit }, search = '') =>
      (await readable.all({ last, limit, search, me: listingFor(caller) })).map(repositoryOf),
    ownedBy: async (owner, caller, { last, limit }) =>
      (await owned.all({ owner, last, limit, me: listingFor(caller) })).map(repositoryOf),
  };
}

const repositoryOf = (row: Record<string, unknown>): Repository => ({
  id: Number(row.id),
  name: String(row.name),
  owner: Number(row.account),
  private: row.private === 1,
  immutable: row.immutable === 1,
  updated: Number(row.updated),
});
