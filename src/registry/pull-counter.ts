import type { Database } from './database.ts';
import type { Repository } from './repositories.ts';

/** Pulls per repository and day. Counted in memory and written together: a pull writes nothing to the disk. */
export interface PullCounter {
  count(repository: Repository): void;
  /** All pulls so far. */
  total(repository: Repository): Promise<number>;
  /** The last `days` days, the oldest first, with zeros; `day` counts from 1970. */
  perDay(repository: Repository, days: number): Promise<readonly { readonly day: number; readonly count: number }[]>;
  /** Writes what is only in memory. */
  flush(): Promise<void>;
}

const dayLength = 24 * 3600_000;

export function createPullCounter({ db }: { readonly db: Pick<Database, 'relaxed'> }): PullCounter {
  const add = db.relaxed.prepare(
    `INSERT INTO pulls (repository, day, count) SELECT :repository, :day, :count
       WHERE EXISTS (SELECT 1 FROM repositories WHERE id = :repository)
       ON CONFLICT (repository, day) DO UPDATE SET count = pulls.count + excluded.count`,
  );
  const sum = db.relaxed.prepare('SELECT coalesce(sum(count), 0) AS n FROM pulls WHERE repository = ?');
  const since = db.relaxed.prepare('SELECT day, count FROM pulls WHERE repository = ? AND day > ?');
  const today = () => Math.floor(Date.now() / dayLength);
  let pending = new Map<number, number>();
  const flush = async () => {
    if (pending.size === 0) return;
    const batch = pending;
    pending = new Map();
    const day = today();
    await db.relaxed.transact([], async () => {
      for (const [repository, count] of batch) await add.run({ repository, day, count });
    });
  };
  return {
    count: ({ id }) => void pending.set(id, (pending.get(id) ?? 0) + 1),
    total: async ({ id }) => Number((await sum.get(id))?.n) + (pending.get(id) ?? 0),
    async perDay({ id }, days) {
      const last = today();
      const counts = new Map((await since.all(id, last - days)).map(({ day, count }) => [Number(day), Number(count)]));
      counts.set(last, (counts.get(last) ?? 0) + (pending.get(id) ?? 0));
      return Array.from({ length: days }, (_, i) => {
        const day = last - days + 1 + i;
        return { day, count: counts.get(day) ?? 0 };
      });
    },
    flush,
  };
}
