import type { DatabaseSync } from 'node:sqlite';
import { GantryError } from '#errors/index.ts';

/** How much a namespace holds, each blob once however many of its repositories link it. */
export interface Quotas {
  /** Bytes and repositories in use. */
  usage(owner: number): { bytes: number; repositories: number };
  /** The most bytes that the namespace may hold; Infinity without a limit. */
  most(owner: number): number;
  /** @throws GantryError forbidden (code `quota-exceeded`) where more is held than may be; within a transaction */
  check(owner: number): void;
}

export function createQuotas({ db }: { readonly db: DatabaseSync }): Quotas {
  const limits = db.prepare('SELECT name, quota_bytes FROM accounts WHERE id = ?');
  const bytesHeld = db.prepare(
    `SELECT coalesce(sum(size), 0) AS n FROM (SELECT DISTINCT b.digest, b.size FROM repositories r
       JOIN blobs b ON b.repository = r.id WHERE r.account = ?)`,
  );
  const repositoriesHeld = db.prepare('SELECT count(*) AS n FROM repositories WHERE account = ?');
  const held = (owner: number) => Number(bytesHeld.get(owner)?.n);
  const most = (owner: number): number => {
    const quota = limits.get(owner)?.quota_bytes;
    return typeof quota === 'number' ? quota : Number.POSITIVE_INFINITY;
  };
  return {
    most,
    usage: (owner) => ({ bytes: held(owner), repositories: Number(repositoriesHeld.get(owner)?.n) }),
    check(owner) {
      const limit = most(owner);
      if (limit < Number.POSITIVE_INFINITY && held(owner) > limit) throw quotaExceeded(String(limits.get(owner)?.name));
    },
  };
}

export const quotaExceeded = (name: string): GantryError =>
  new GantryError('forbidden', `this would be more than ${name} may hold; delete what is not needed, or ask for more`, {
    code: 'quota-exceeded',
  });
