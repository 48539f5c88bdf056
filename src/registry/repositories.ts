import type { DatabaseSync } from 'node:sqlite';
import { GantryError } from '#errors/index.ts';
import { parseReference } from '#oci/index.ts';
import type { Caller } from './access-tokens.ts';
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
  find(name: string): Repository | undefined;
  /** The repository, made where it is not there yet; within the caller's transaction. */
  ensure(owner: number, name: string): Repository;
  touch(repository: Repository): void;
  setPrivate(repository: Repository, value: boolean): void;
  setImmutable(repository: Repository, value: boolean): void;
  /** The page about it, Markdown. @throws GantryError invalid beyond 64 kB */
  setReadme(repository: Repository, text: string): void;
  readme(repository: Repository): string;
  /** Takes it away with all that is in it. */
  remove(repository: Repository): void;
  /** Repositories with something in them that the caller may read; `search` is a part of their names. */
  readable(caller: Caller, page: Page, search?: string): readonly Repository[];
  /** All repositories of a namespace that the caller may read, with those that hold nothing yet. */
  ownedBy(owner: number, caller: Caller, page: Page): readonly Repository[];
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

export function createRepositories({ db }: { readonly db: DatabaseSync }): Repositories {
  const one = db.prepare('SELECT * FROM repositories WHERE name = ?');
  const insert = db.prepare(
    `INSERT OR IGNORE INTO repositories (account, name, private, updated)
       SELECT id, ?, default_private, ? FROM accounts WHERE id = ?`,
  );
  const count = db.prepare('SELECT count(*) AS n FROM repositories WHERE account = ?');
  const quota = db.prepare('SELECT name, quota_repositories AS quota FROM accounts WHERE id = ?');
  const setUpdated = db.prepare('UPDATE repositories SET updated = ? WHERE id = ?');
  const setPrivate = db.prepare('UPDATE repositories SET private = ? WHERE id = ?');
  const setImmutable = db.prepare('UPDATE repositories SET immutable = ? WHERE id = ?');
  const setReadme = db.prepare('UPDATE repositories SET readme = ? WHERE id = ?');
  const drop = db.prepare('DELETE FROM repositories WHERE id = ?');
  const readable = db.prepare(
    `SELECT * FROM repositories r WHERE r.name > :last AND ${readableBy} AND (:search = '' OR instr(r.name, :search) > 0)
       AND EXISTS (SELECT 1 FROM manifests f WHERE f.repository = r.id) ORDER BY r.name LIMIT :limit`,
  );
  const owned = db.prepare(
    `SELECT * FROM repositories r WHERE r.account = :owner AND r.name > :last AND ${readableBy} ORDER BY r.name LIMIT :limit`,
  );

  const find = (name: string): Repository | undefined => {
    const row = one.get(name);
    return row === undefined ? undefined : repositoryOf(row);
  };
  /** Within the transaction that made it, so that a refusal takes it back. */
  const checkQuota = (owner: number): void => {
    const row = quota.get(owner);
    if (row === undefined || row.quota === null || Number(count.get(owner)?.n) <= Number(row.quota)) return;
    throw new GantryError('forbidden', `${String(row.name)} may have ${String(row.quota)} repositories and has them`, {
      code: 'quota-exceeded',
    });
  };
  return {
    find,
    ensure(owner, name) {
      const there = find(name);
      if (there !== undefined) return there;
      insert.run(name, Date.now(), owner);
      checkQuota(owner);
      const repository = find(name);
      if (repository === undefined)
        throw new GantryError('not-found', `the account of ${name} is gone`, { code: 'name-unknown' });
      return repository;
    },
    touch: (repository) => void setUpdated.run(Date.now(), repository.id),
    setPrivate: (repository, value) => void setPrivate.run(value ? 1 : 0, repository.id),
    setImmutable: (repository, value) => void setImmutable.run(value ? 1 : 0, repository.id),
    setReadme(repository, text) {
      const size = Buffer.byteLength(text);
      if (size > readmeLimit)
        throw new GantryError('invalid', `the page has ${size} bytes; at most ${readmeLimit} are kept`);
      setReadme.run(text, repository.id);
    },
    readme: ({ name }) => String(one.get(name)?.readme ?? ''),
    remove: ({ id }) => void drop.run(id),
    readable: (caller, { last, limit }, search = '') =>
      readable.all({ last, limit, search, me: listingFor(caller) }).map(repositoryOf),
    ownedBy: (owner, caller, { last, limit }) =>
      owned.all({ owner, last, limit, me: listingFor(caller) }).map(repositoryOf),
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
