import { createHash, randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { GantryError } from '#errors/index.ts';
import type { Account } from './accounts.ts';
import { transact } from './database.ts';
import { checkRole, type Role } from './roles.ts';

/** A link that makes an account, or a member of an organisation, a number of times until a day. */
export interface Invitation {
  readonly id: number;
  readonly role: Role;
  readonly uses: number;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

export interface Invitations {
  /** The code is told this once. @throws GantryError invalid */
  create(
    org: Account | undefined,
    options: { readonly role: string; readonly uses: number; readonly expires: number },
  ): string;
  list(org: Account | undefined): readonly Invitation[];
  revoke(org: Account | undefined, id: number): void;
  /** What a code that is still good leads to. @throws GantryError forbidden (code `invitation-invalid`) */
  read(code: string): { readonly org: number | undefined; readonly role: Role };
  /** Takes one use, and the membership with it. @throws as `read` */
  accept(code: string, account: Account): void;
}

const mostUses = 10_000;

export function createInvitations({ db }: { readonly db: DatabaseSync }): Invitations {
  const insert = db.prepare(
    'INSERT INTO invitations (hash, org, role, uses, expires, created) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const good = db.prepare('SELECT * FROM invitations WHERE hash = ? AND uses > 0 AND expires > ?');
  const all = db.prepare('SELECT * FROM invitations WHERE org IS ? AND uses > 0 AND expires > ? ORDER BY id DESC');
  const use = db.prepare('UPDATE invitations SET uses = uses - 1 WHERE id = ?');
  const drop = db.prepare('DELETE FROM invitations WHERE org IS ? AND id = ?');
  const join = db.prepare('INSERT OR IGNORE INTO members (org, account, role) VALUES (?, ?, ?)');
  const hash = (code: string) => createHash('sha256').update(code).digest();
  const find = (code: string) => {
    const row = good.get(hash(code), Date.now());
    if (row === undefined)
      throw new GantryError('forbidden', 'this invitation is used up, too old or none of ours; ask for another', {
        code: 'invitation-invalid',
      });
    return {
      id: Number(row.id),
      org: row.org === null ? undefined : Number(row.org),
      role: checkRole(String(row.role)),
    };
  };
  return {
    create(org, { role, uses, expires }) {
      if (!Number.isSafeInteger(uses) || uses < 1 || uses > mostUses)
        throw new GantryError('invalid', `an invitation is for 1 to ${mostUses} people, not ${uses}`);
      if (!(expires > Date.now())) throw new GantryError('invalid', 'the invitation would have expired already');
      const code = randomBytes(18).toString('base64url');
      insert.run(hash(code), org?.id ?? null, checkRole(role), uses, expires, Date.now());
      return code;
    },
    list: (org) =>
      all.all(org?.id ?? null, Date.now()).map((row) => ({
        id: Number(row.id),
        role: checkRole(String(row.role)),
        uses: Number(row.uses),
        expires: Number(row.expires),
      })),
    revoke: (org, id) => void drop.run(org?.id ?? null, id),
    read: find,
    accept: (code, account) =>
      transact(db, () => {
        const { id, org, role } = find(code);
        use.run(id);
        if (org !== undefined) join.run(org, account.id, role);
      }),
  };
}
