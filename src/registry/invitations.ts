import { createHash, randomBytes } from 'node:crypto';
import { GantryError } from '#errors/index.ts';
import type { Account } from './accounts.ts';
import type { Database } from './database.ts';
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
  ): Promise<string>;
  list(org: Account | undefined): Promise<readonly Invitation[]>;
  revoke(org: Account | undefined, id: number): Promise<void>;
  /** What a code that is still good leads to. @throws GantryError forbidden (code `invitation-invalid`) */
  read(code: string): Promise<{ readonly org: number | undefined; readonly role: Role }>;
  /** Takes one use, and the membership with it. @throws as `read` */
  accept(code: string, account: Account): Promise<void>;
}

const mostUses = 10_000;

export function createInvitations({ db }: { readonly db: Database }): Invitations {
  const insert = db.prepare(
    'INSERT INTO invitations (hash, org, role, uses, expires, created) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const good = db.prepare('SELECT * FROM invitations WHERE hash = ? AND uses > 0 AND expires > ?');
  const all = db.prepare(
    'SELECT * FROM invitations WHERE org IS NOT DISTINCT FROM ? AND uses > 0 AND expires > ? ORDER BY id DESC',
  );
  const use = db.prepare('UPDATE invitations SET uses = uses - 1 WHERE id = ?');
  const drop = db.prepare('DELETE FROM invitations WHERE org IS NOT DISTINCT FROM ? AND id = ?');
  const join = db.prepare('INSERT INTO members (org, account, role) VALUES (?, ?, ?) ON CONFLICT DO NOTHING');
  const hash = (code: string) => createHash('sha256').update(code).digest();
  const find = async (code: string) => {
    const row = await good.get(hash(code), Date.now());
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
    async create(org, { role, uses, expires }) {
      if (!Number.isSafeInteger(uses) || uses < 1 || uses > mostUses)
        throw new GantryError('invalid', `an invitation is for 1 to ${mostUses} people, not ${uses}`);
      if (!(expires > Date.now())) throw new GantryError('invalid', 'the invitation would have expired already');
      const code = randomBytes(18).toString('base64url');
      await insert.run(hash(code), org?.id ?? null, checkRole(role), uses, expires, Date.now());
      return code;
    },
    list: async (org) =>
      (await all.all(org?.id ?? null, Date.now())).map((row) => ({
        id: Number(row.id),
        role: checkRole(String(row.role)),
        uses: Number(row.uses),
        expires: Number(row.expires),
      })),
    revoke: async (org, id) => void (await drop.run(org?.id ?? null, id)),
    read: find,
    accept: async (code, account) =>
      db.transact([`invitation ${hash(code).toString('hex')}`], async () => {
        const { id, org, role } = await find(code);
        await use.run(id);
        if (org !== undefined) await join.run(org, account.id, role);
      }),
  };
}
