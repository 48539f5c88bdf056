import { GantryError } from '#errors/index.ts';
import { parseDigest } from '#oci/index.ts';
import type { PushTarget } from './access.ts';
import type { Caller } from './access-tokens.ts';
import type { BlobPlace, BlobStore } from './blob-store.ts';
import type { Database } from './database.ts';
import type { KeyedLock } from './keyed-lock.ts';
import type { Quotas } from './quotas.ts';
import type { Repositories, Repository } from './repositories.ts';
import { readableBy } from './roles.ts';

/**
 * Blobs as repositories see them. The bytes lie once in the blob store; a *link* makes them readable in a
 * repository. Bytes without any link are garbage, and nobody can read them.
 */
export interface Blobs {
  /** @throws GantryError not-found (code `blob-unknown`), invalid (`digest-invalid`) */
  stat(repository: Repository, digest: string): Promise<{ size: number }>;
  /** Where the bytes are. @throws as `stat` */
  place(repository: Repository, digest: string): Promise<BlobPlace>;
  /** A small blob whole. @throws as `stat`, exhausted beyond `limit` bytes */
  read(repository: Repository, digest: string, limit: number): Promise<Buffer>;
  /**
   * Links a blob that `add` brings into the blob store; on disk when this returns.
   * @throws GantryError forbidden (code `quota-exceeded`): nothing is linked then
   */
  link(target: PushTarget, blob: { digest: string; size: number }, add: () => Promise<unknown>): Promise<void>;
  /**
   * Links into `target` what the caller can read elsewhere: in `from`, or in any repository where that is undefined
   * (with a token, which names its repositories, in any public one). False where there is nothing to link.
   */
  mount(caller: Caller, target: PushTarget, digest: string, from: Repository | undefined): Promise<boolean>;
  /** Takes the link away. @throws as `stat` */
  unlink(repository: Repository, digest: string): Promise<void>;
}

export function createBlobs({
  db,
  store,
  repositories,
  quotas,
  lock,
}: {
  readonly db: Database;
  readonly store: Pick<BlobStore, 'read' | 'place' | 'keep'>;
  readonly repositories: Repositories;
  readonly quotas: Pick<Quotas, 'check'>;
  readonly lock: KeyedLock;
}): Blobs {
  const one = db.prepare('SELECT size FROM blobs WHERE repository = ? AND digest = ?');
  const insert = db.prepare(
    `INSERT INTO blobs (repository, digest, size, linked) VALUES (?, ?, ?, ?)
       ON CONFLICT (repository, digest) DO UPDATE SET linked = excluded.linked`,
  );
  const drop = db.prepare('DELETE FROM blobs WHERE repository = ? AND digest = ?');
  const readableSomewhere = db.prepare(
    `SELECT size FROM blobs b JOIN repositories r ON r.id = b.repository
       WHERE digest = :digest AND ${readableBy} LIMIT 1`,
  );
  const sizeOf = (row: Record<string, unknown> | undefined) => (row === undefined ? undefined : Number(row.size));

  const stat = async (repository: Repository, digest: string): Promise<{ size: number }> => {
    parseDigest(digest);
    const size = sizeOf(await one.get(repository.id, digest));
    if (size === undefined)
      throw new GantryError('not-found', `${repository.name} has no blob ${digest}`, { code: 'blob-unknown' });
    return { size };
  };
  const put = async (target: PushTarget, digest: string, size: number): Promise<void> => {
    const repository = await repositories.ensure(target.owner, target.name);
    await insert.run(repository.id, digest, size, Date.now());
    await quotas.check(target.owner);
  };

  return {
    stat,
    async place(repository, digest) {
      await stat(repository, digest);
      return await store.place(digest);
    },
    async read(repository, digest, limit) {
      const { size } = await stat(repository, digest);
      if (size > limit)
        throw new GantryError('exhausted', `${digest} has ${size} bytes; at most ${limit} are read here`);
      return await store.read(digest);
    },
    async link(target, { digest, size }, add) {
      await lock.run(digest, async () => {
        await addUntilKept(digest, add, () =>
          db.transact([digest, `namespace ${target.owner}`], async () => {
            if (!(await store.keep(digest))) return false;
            await put(target, digest, size);
            return true;
          }),
        );
      });
    },
    async mount(caller, target, digest, from) {
      parseDigest(digest);
      return await db.transact([digest, `namespace ${target.owner}`], async () => {
        const size =
          from === undefined
            ? sizeOf(await readableSomewhere.get({ digest, me: everywhere(caller) }))
            : sizeOf(await one.get(from.id, digest));
        if (size === undefined) return false;
        await put(target, digest, size);
        return true;
      });
    },
    async unlink(repository, digest) {
      await stat(repository, digest);
      await drop.run(repository.id, digest);
    },
  };
}

/** Whom a search through all repositories is for: a token that names its own searches what is public. */
const everywhere = ({ account, scopes, limit }: Caller): number =>
  scopes === undefined && limit?.repository === undefined ? (account?.id ?? -1) : -1;

/**
 * Brings bytes in and keeps them by a row. Another process that collects garbage may take the bytes between the two, in
 * a transaction of its own; then `keep` says false, and they are brought in again.
 * @throws GantryError conflict where that goes on and on
 */
export async function addUntilKept(
  digest: string,
  add: () => Promise<unknown>,
  keep: () => Promise<boolean>,
): Promise<void> {
  for (let attempt = 0; attempt < 10; attempt++) {
    await add();
    if (await keep()) return;
  }
  throw new GantryError('conflict', `${digest} goes away as often as it is written; push it again`);
}
