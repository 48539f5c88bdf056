import type { DatabaseSync } from 'node:sqlite';
import { GantryError } from '#errors/index.ts';
import { checkAccountName } from './account-name.ts';
import type { Account } from './accounts.ts';
import { transact } from './database.ts';
import type { Repository } from './repositories.ts';
import { checkRole, type Role } from './roles.ts';

export interface Member {
  readonly account: string;
  readonly role: Role;
}

export interface Team {
  readonly name: string;
  readonly members: readonly string[];
  /** Roles in single repositories, on top of what its members have in the whole organisation. */
  readonly grants: readonly { readonly repository: string; readonly role: Role }[];
}

/** Who belongs to an organisation, such as a class, and what teams of them may do in which repositories. */
export interface Organisations {
  /** The organisations an account belongs to, in the order of their names. */
  of(account: Account): readonly { readonly name: string; readonly role: Role }[];
  members(org: Account): readonly Member[];
  /** Adds a member or changes a role. @throws GantryError invalid (role), conflict (code `last-owner`) */
  setMember(org: Account, account: Account, role: string): void;
  /** Also out of its teams. @throws GantryError not-found, conflict (code `last-owner`) */
  removeMember(org: Account, account: Account): void;
  teams(org: Account): readonly Team[];
  /** @throws GantryError invalid (name), conflict */
  createTeam(org: Account, name: string): void;
  /** @throws GantryError not-found */
  removeTeam(org: Account, name: string): void;
  /** @throws GantryError not-found, invalid where the account is no member of the organisation */
  setInTeam(org: Account, team: string, account: Account, value: boolean): void;
  /** Gives or (without a role) takes away. @throws GantryError not-found, invalid */
  grant(org: Account, team: string, repository: Repository, role: string | undefined): void;
}

export function createOrganisations({ db }: { readonly db: DatabaseSync }): Organisations {
  const ofAccount = db.prepare(
    'SELECT a.name, m.role FROM members m JOIN accounts a ON a.id = m.org WHERE m.account = ? ORDER BY a.name',
  );
  const members = db.prepare(
    'SELECT a.name, m.role FROM members m JOIN accounts a ON a.id = m.account WHERE m.org = ? ORDER BY a.name',
  );
  const roleIn = db.prepare('SELECT role FROM members WHERE org = ? AND account = ?');
  const owners = db.prepare("SELECT count(*) AS n FROM members WHERE org = ? AND role = 'owner'");
  const put = db.prepare(
    'INSERT INTO members (org, account, role) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET role = excluded.role',
  );
  const drop = db.prepare('DELETE FROM members WHERE org = ? AND account = ?');
  const leaveTeams = db.prepare(
    'DELETE FROM team_members WHERE account = ? AND team IN (SELECT id FROM teams WHERE org = ?)',
  );
  const teams = db.prepare('SELECT id, name FROM teams WHERE org = ? ORDER BY name');
  const team = db.prepare('SELECT id FROM teams WHERE org = ? AND name = ?');
  const inTeam = db.prepare(
    'SELECT a.name FROM team_members t JOIN accounts a ON a.id = t.account WHERE t.team = ? ORDER BY a.name',
  );
  const grants = db.prepare(
    'SELECT r.name, g.role FROM team_grants g JOIN repositories r ON r.id = g.repository WHERE g.team = ? ORDER BY r.name',
  );
  const insertTeam = db.prepare('INSERT INTO teams (org, name) VALUES (?, ?)');
  const dropTeam = db.prepare('DELETE FROM teams WHERE id = ?');
  const join = db.prepare('INSERT OR IGNORE INTO team_members (team, account) VALUES (?, ?)');
  const leave = db.prepare('DELETE FROM team_members WHERE team = ? AND account = ?');
  const grant = db.prepare(
    'INSERT INTO team_grants (team, repository, role) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET role = excluded.role',
  );
  const revoke = db.prepare('DELETE FROM team_grants WHERE team = ? AND repository = ?');

  const teamId = (org: Account, name: string): number => {
    const row = team.get(org.id, name);
    if (row === undefined)
      throw new GantryError('not-found', `${org.name} has no team "${name}"`, { code: 'team-unknown' });
    return Number(row.id);
  };
  /** Whoever runs an organisation stays until somebody else does. */
  const keepOwner = (org: Account): void => {
    if (Number(owners.get(org.id)?.n) === 0)
      throw new GantryError('conflict', `${org.name} needs an owner; make somebody else one first`, {
        code: 'last-owner',
      });
  };

  return {
    of: ({ id }) => ofAccount.all(id).map((row) => ({ name: String(row.name), role: checkRole(String(row.role)) })),
    members: ({ id }) =>
      members.all(id).map((row) => ({ account: String(row.name), role: checkRole(String(row.role)) })),
    setMember(org, account, role) {
      const checked = checkRole(role);
      if (account.kind !== 'user')
        throw new GantryError('invalid', `${account.name} is an organisation; only people are members`);
      transact(db, () => {
        put.run(org.id, account.id, checked);
        keepOwner(org);
      });
    },
    removeMember: (org, account) =>
      transact(db, () => {
        if (drop.run(org.id, account.id).changes === 0)
          throw new GantryError('not-found', `${account.name} is no member of ${org.name}`);
        leaveTeams.run(account.id, org.id);
        keepOwner(org);
      }),
    teams: ({ id }) =>
      teams.all(id).map((row) => ({
        name: String(row.name),
        members: inTeam.all(Number(row.id)).map(({ name }) => String(name)),
        grants: grants
          .all(Number(row.id))
          .map(({ name, role }) => ({ repository: String(name), role: checkRole(String(role)) })),
      })),
    createTeam(org, name) {
      checkAccountName(name);
      if (team.get(org.id, name) !== undefined)
        throw new GantryError('conflict', `${org.name} has a team "${name}" already`);
      insertTeam.run(org.id, name);
    },
    removeTeam: (org, name) => void dropTeam.run(teamId(org, name)),
    setInTeam(org, name, account, value) {
      const id = teamId(org, name);
      if (value && roleIn.get(org.id, account.id) === undefined)
        throw new GantryError('invalid', `${account.name} is no member of ${org.name}; add them there first`);
      (value ? join : leave).run(id, account.id);
    },
    grant(org, name, repository, role) {
      const id = teamId(org, name);
      if (repository.owner !== org.id)
        throw new GantryError('invalid', `${repository.name} does not belong to ${org.name}`);
      if (role === undefined) revoke.run(id, repository.id);
      else grant.run(id, repository.id, checkRole(role));
    },
  };
}
