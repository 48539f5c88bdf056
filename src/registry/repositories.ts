import type { DatabaseSync } from 'node:sqlite';
import { GantryError } from '#errors/index.ts';
import { parseReference } from '#oci/index.ts';
import type { Caller } from './access-tokens.ts';
import type { Account } from './accounts.ts';

export interface Repository {
  readonly id: number;
  /** `<account>/<name…>` */
  readonly name: string;
  /** The id of the account it belongs to. */
  readonly owner: number;
  readonly private: boolean;
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
  ensure(account: Account, name: string): Repository;
  touch(repository: Repository): void;
  setPrivate(repository: Repository, value: boolean): void;
  /** Repositories with something in them that the caller may read. */
  readable(caller: Caller, page: Page): readonly Repository[];
  /** All repositories of an account. */
  ownedBy(account: Account, page: Page): readonly Repository[];
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

export function createRepositories({ db }: { readonly db: DatabaseSync }): Repositories {
  const one = db.prepare('SELECT * FROM repositories WHERE name = ?');
  const insert = db.prepare('INSERT OR IGNORE INTO repositories (account, name, private, updated) VALUES (?, ?, ?, ?)');
  const setUpdated = db.prepare('UPDATE repositories SET updated = ? WHERE id = ?');
  const setPrivate = db.prepare('UPDATE repositories SET private = ? WHERE id = ?');
  const readable = db.prepare(
    `SELECT * FROM repositories r WHERE name > ? AND (private = 0 OR account = ?)
       AND EXISTS (SELECT 1 FROM manifests m WHERE m.repository = r.id) ORDER BY name LIMIT ?`,
  );
  const owned = db.prepare('SELECT * FROM repositories WHERE account = ? AND name > ? ORDER BY name LIMIT ?');

  const find = (name: string): Repository | undefined => {
    const row = one.get(name);
    return row === undefined ? undefined : repositoryOf(row);
  };
  return {
    find,
    ensure(account, name) {
      insert.run(account.id, name, account.defaultPrivate ? 1 : 0, Date.now());
      const repository = find(name);
      if (repository === undefined) throw new GantryError('internal', `${name} vanished while it was made`);
      return repository;
    },
    touch: (repository) => void setUpdated.run(Date.now(), repository.id),
    setPrivate: (repository, value) => void setPrivate.run(value ? 1 : 0, repository.id),
    readable: (caller, { last, limit }) => readable.all(last, caller.account?.id ?? -1, limit).map(repositoryOf),
    ownedBy: (account, { last, limit }) => owned.all(account.id, last, limit).map(repositoryOf),
  };
}

const repositoryOf = (row: Record<string, unknown>): Repository => ({
  id: Number(row.id),
  name: String(row.name),
  owner: Number(row.account),
  private: row.private === 1,
  updated: Number(row.updated),
});
