import { GantryError } from '#errors/index.ts';
import type { Database } from './database.ts';

/** How much a namespace holds, each blob once however many of its repositories link it. */
export interface Quotas {
  /** Bytes and repositories in use. */
  usage(owner: number): Promise<{ bytes: number; repositories: number }>;
  /** The most bytes that the namespace may hold; Infinity without a limit. */
  most(owner: number): Promise<number>;
  /** @throws GantryError forbidden (code `quota-exceeded`) where more is held than may be; within a transaction */
  check(owner: number): Promise<void>;
}

export function createQuotas({ db }: { readonly db: Database }): Quotas {
  const limits = db.prepare('SELECT name, quota_bytes FROM accounts WHERE id = ?');
  const bytesHeld = db.prepare(
    `SELECT coalesce(sum(size), 0) AS n FROM (SELECT DISTINCT b.digest, b.size FROM repositories r
       JOIN blobs b ON b.repository = r.id WHERE r.account = ?) AS held`,
  );
  const repositoriesHeld = db.prepare('SELECT count(*) AS n FROM repositories WHERE account = ?');
  const held = async (owner: number) => Number((await bytesHeld.get(owner))?.n);
  const most = async (owner: number): Promise<number> => {
    const quota = (await limits.get(owner))?.quota_bytes;
    return typeof quota === 'number' ? quota : Number.POSITIVE_INFINITY;
  };
  return {
    most,
    usage: async (owner) => ({
      bytes: await held(owner),
      repositories: Number((await repositoriesHeld.get(owner))?.n),
    }),
    async check(owner) {
      const limit = await most(owner);
      if (limit < Number.POSITIVE_INFINITY && (await held(owner)) > limit)
        throw quotaExceeded(String((await limits.get(owner))?.name));
    },
  };
}

export const quotaExceeded = (name: string): GantryError =>
  new GantryError('forbidden', `this would be more than ${name} may hold; delete what is not needed, or ask for more`, {
    code: 'quota-exceeded',
  });
