import { GantryError } from '#errors/index.ts';
import type { Database } from './database.ts';

/** What may be done in a repository. `create` adds tags, `overwrite` also moves ones that are there. */
export type Action = 'pull' | 'create' | 'overwrite' | 'delete' | 'manage';

/** From the least to the most. An organisation's readers see its private repositories; its owners also run it. */
export const roles = ['reader', 'contributor', 'writer', 'owner'] as const;
export type Role = (typeof roles)[number];

const actions: Readonly<Record<Role, readonly Action[]>> = {
  reader: ['pull'],
  contributor: ['pull', 'create'],
  writer: ['pull', 'create', 'overwrite', 'delete'],
  owner: ['pull', 'create', 'overwrite', 'delete', 'manage'],
};

export const actionsOf = (role: Role | undefined): readonly Action[] => (role === undefined ? [] : actions[role]);

/** @throws GantryError invalid, naming the roles there are */
export function checkRole(text: string): Role {
  const role = roles.find((candidate) => candidate === text);
  if (role === undefined) throw new GantryError('invalid', `"${text}" is not a role: ${roles.join(', ')}`);
  return role;
}

/** Roles as they are at this moment; nothing is remembered between two questions. */
export interface Roles {
  /** In a namespace, and where it is named in one of its repositories, through teams too. */
  of(account: number, owner: number, repository?: number): Promise<Role | undefined>;
}

/** The repositories `r` that the account `:me` may read; -1 stands for nobody. */
export const readableBy = `(r.private = 0 OR r.account = :me
  OR EXISTS (SELECT 1 FROM members m WHERE m.org = r.account AND m.account = :me)
  OR EXISTS (SELECT 1 FROM team_grants g JOIN team_members t ON t.team = g.team WHERE g.repository = r.id AND t.account = :me))`;

export function createRoles({ db }: { readonly db: Database }): Roles {
  const member = db.prepare('SELECT role FROM members WHERE org = ? AND account = ?');
  const granted = db.prepare(
    `SELECT g.role FROM team_grants g JOIN team_members t ON t.team = g.team WHERE g.repository = ? AND t.account = ?`,
  );
  return {
    async of(account, owner, repository) {
      if (account === owner) return 'owner';
      const rows = [
        await member.get(owner, account),
        ...(repository === undefined ? [] : await granted.all(repository, account)),
      ];
      let best = -1;
      for (const row of rows) best = Math.max(best, roles.indexOf(row?.role as Role));
      return roles[best];
    },
  };
}
