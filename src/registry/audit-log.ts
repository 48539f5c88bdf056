import type { Database } from './database.ts';

/** One thing that was done: who did what to what, from where. */
export interface AuditEntry {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly actor: string;
  /** A dotted word, such as `token.create` or `tag.delete`. */
  readonly action: string;
  readonly subject: string;
  /** The network address it came from; empty for the machine's own command line. */
  readonly address: string;
}

/** Changes and refused logins, kept a year; pulls are counted, not listed. */
export interface AuditLog {
  record(actor: string, action: string, subject: string, address: string): Promise<void>;
  /** The newest first, at most `limit`, before `before`; those about one namespace where that is named. */
  list(options: { readonly limit: number; readonly namespace?: string }): Promise<readonly AuditEntry[]>;
  sweep(): Promise<void>;
}

const keptFor = 365 * 24 * 3600_000;

export function createAuditLog({ db }: { readonly db: Pick<Database, 'relaxed'> }): AuditLog {
  const insert = db.relaxed.prepare('INSERT INTO audit (time, actor, action, subject, address) VALUES (?, ?, ?, ?, ?)');
  const newest = db.relaxed.prepare('SELECT * FROM audit ORDER BY id DESC LIMIT ?');
  const about = db.relaxed.prepare(
    "SELECT * FROM audit WHERE subject = :name OR substr(subject, 1, length(:name) + 1) = :name || '/' ORDER BY id DESC LIMIT :limit",
  );
  const drop = db.relaxed.prepare('DELETE FROM audit WHERE time < ?');
  return {
    record: async (actor, action, subject, address) =>
      void (await insert.run(Date.now(), actor, action, subject.slice(0, 500), address)),
    list: async ({ limit, namespace }) =>
      (namespace === undefined ? await newest.all(limit) : await about.all({ name: namespace, limit })).map((row) => ({
        time: Number(row.time),
        actor: String(row.actor),
        action: String(row.action),
        subject: String(row.subject),
        address: String(row.address),
      })),
    sweep: async () => void (await drop.run(Date.now() - keptFor)),
  };
}
