import type { DatabaseSync } from 'node:sqlite';
import { GantryError } from '#errors/index.ts';

/** How much a namespace holds, each blob once however many of its repositories link it. */
export interface Quotas {
  /** Bytes and repositories in use. */
  usage(owner: number): { bytes: number; repositories: number };
  /** Bytes that may still come; Infinity without a limit. */
  room(owner: number): number;
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
  const room = (owner: number): number => {
    const quota = limits.get(owner)?.quota_bytes;
    return typeof quota === 'number' ? quota - held(owner) : Number.POSITIVE_INFINITY;
  };
  return {
    room,
    usage: (owner) => ({ bytes: held(owner), repositories: Number(repositoriesHeld.get(owner)?.n) }),
    check(owner) {
      if (room(owner) < 0) throw quotaExceeded(String(limits.get(owner)?.name));
    },
  };
}

export const quotaExceeded = (name: string): GantryError =>
  new GantryError('forbidden', `this would be more than ${name} may hold; delete what is not needed, or ask for more`, {
    code: 'quota-exceeded',
  });
