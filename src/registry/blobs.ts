import type { DatabaseSync } from 'node:sqlite';
import type { Readable } from 'node:stream';
import type { ContentStore } from '#content/index.ts';
import { GantryError } from '#errors/index.ts';
import { parseDigest } from '#oci/index.ts';
import type { PushTarget } from './access.ts';
import type { Caller } from './access-tokens.ts';
import { transact } from './database.ts';
import type { KeyedLock } from './keyed-lock.ts';
import type { Repositories, Repository } from './repositories.ts';

/**
 * Blobs as repositories see them. The bytes lie once in the content store; a *link* makes them readable in a
 * repository. Bytes without any link are garbage, and nobody can read them.
 */
export interface Blobs {
  /** @throws GantryError not-found (code `blob-unknown`), invalid (`digest-invalid`) */
  stat(repository: Repository, digest: string): { size: number };
  /** The bytes from `start` up to and including `end`. @throws as `stat` */
  open(repository: Repository, digest: string, range?: { start: number; end: number }): Promise<Readable>;
  /** Links a blob that `add` brings into the content store; on disk when this returns. `also` joins the transaction. */
  link(
    target: PushTarget,
    blob: { digest: string; size: number },
    add: () => Promise<unknown>,
    also?: () => void,
  ): Promise<void>;
  /**
   * Links into `target` what the caller can read elsewhere: in `from`, or in any repository where that is undefined
   * (with a token, which names its repositories, in any public one). False where there is nothing to link.
   */
  mount(caller: Caller, target: PushTarget, digest: string, from: Repository | undefined): boolean;
  /** Takes the link away. @throws as `stat` */
  unlink(repository: Repository, digest: string): void;
}

export function createBlobs({
  db,
  content,
  repositories,
  lock,
}: {
  readonly db: DatabaseSync;
  readonly content: Pick<ContentStore, 'open'>;
  readonly repositories: Repositories;
  readonly lock: KeyedLock;
}): Blobs {
  const one = db.prepare('SELECT size FROM blobs WHERE repository = ? AND digest = ?');
  const insert = db.prepare(
    `INSERT INTO blobs (repository, digest, size, linked) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET linked = excluded.linked`,
  );
  const drop = db.prepare('DELETE FROM blobs WHERE repository = ? AND digest = ?');
  const readableSomewhere = db.prepare(
    `SELECT size FROM blobs b JOIN repositories r ON r.id = b.repository
       WHERE digest = ? AND (r.private = 0 OR r.account = ?) LIMIT 1`,
  );
  const sizeOf = (row: Record<string, unknown> | undefined) => (row === undefined ? undefined : Number(row.size));

  const stat = (repository: Repository, digest: string): { size: number } => {
    parseDigest(digest);
    const size = sizeOf(one.get(repository.id, digest));
    if (size === undefined)
      throw new GantryError('not-found', `${repository.name} has no blob ${digest}`, { code: 'blob-unknown' });
    return { size };
  };
  const put = (target: PushTarget, digest: string, size: number): void => {
    const repository = repositories.ensure(target.account, target.name);
    insert.run(repository.id, digest, size, Date.now());
  };

  return {
    stat,
    async open(repository, digest, range) {
      stat(repository, digest);
      return await content.open(digest, range);
    },
    async link(target, { digest, size }, add, also) {
      await lock.run(digest, async () => {
        await add();
        transact(db, () => {
          put(target, digest, size);
          also?.();
        });
      });
    },
    mount(caller, target, digest, from) {
      parseDigest(digest);
      return transact(db, () => {
        const size =
          from === undefined
            ? sizeOf(
                readableSomewhere.get(digest, (caller.scopes === undefined ? caller.account?.id : undefined) ?? -1),
              )
            : sizeOf(one.get(from.id, digest));
        if (size === undefined) return false;
        put(target, digest, size);
        return true;
      });
    },
    unlink(repository, digest) {
      stat(repository, digest);
      drop.run(repository.id, digest);
    },
  };
}
