import { GantryError } from '#errors/index.ts';
import { checkAccountName } from './account-name.ts';
import type { Account } from './accounts.ts';
import type { Database } from './database.ts';
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
  of(account: Account): Promise<readonly { readonly name: string; readonly role: Role }[]>;
  members(org: Account): Promise<readonly Member[]>;
  /** Adds a member or changes a role. @throws GantryError invalid (role), conflict (code `last-owner`) */
  setMember(org: Account, account: Account, role: string): Promise<void>;
  /** Also out of its teams. @throws GantryError not-found, conflict (code `last-owner`) */
  removeMember(org: Account, account: Account): Promise<void>;
  teams(org: Account): Promise<readonly Team[]>;
  /** @throws GantryError invalid (name), conflict */
  createTeam(org: Account, name: string): Promise<void>;
  /** @throws GantryError not-found */
  removeTeam(org: Account, name: string): Promise<void>;
  /** @throws GantryError not-found, invalid where the account is no member of the organisation */
  setInTeam(org: Account, team: string, account: Account, value: boolean): Promise<void>;
  /** Gives or (without a role) takes away. @throws GantryError not-found, invalid */
  grant(org: Account, team: string, repository: Repository, role: string | undefined): Promise<void>;
}

export function createOrganisations({ db }: { readonly db: Database }): Organisations {
  const ofAccount = db.prepare(
    'SELECT a.name, m.role FROM members m JOIN accounts a ON a.id = m.org WHERE m.account = ? ORDER BY a.name',
  );
  const members = db.prepare(
    'SELECT a.name, m.role FROM members m JOIN accounts a ON a.id = m.account WHERE m.org = ? ORDER BY a.name',
  );
  const roleIn = db.prepare('SELECT role FROM members WHERE org = ? AND account = ?');
  const owners = db.prepare("SELECT count(*) AS n FROM members WHERE org = ? AND role = 'owner'");
  const put = db.prepare(
    'INSERT INTO members (org, account, role) VALUES (?, ?, ?) ON CONFLICT (org, account) DO UPDATE SET role = excluded.role',
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
  const join = db.prepare('INSERT INTO team_members (team, account) VALUES (?, ?) ON CONFLICT DO NOTHING');
  const leave = db.prepare('DELETE FROM team_members WHERE team = ? AND account = ?');
  const grant = db.prepare(
    'INSERT INTO team_grants (team, repository, role) VALUES (?, ?, ?) ON CONFLICT (repository, team) DO UPDATE SET role = excluded.role',
  );
  const revoke = db.prepare('DELETE FROM team_grants WHERE team = ? AND repository = ?');

  const teamId = async (org: Account, name: string): Promise<number> => {
    const row = await team.get(org.id, name);
    if (row === undefined)
      throw new GantryError('not-found', `${org.name} has no team "${name}"`, { code: 'team-unknown' });
    return Number(row.id);
  };
  /** Whoever runs an organisation stays until somebody else does. */
  const keepOwner = async (org: Account): Promise<void> => {
    if (Number((await owners.get(org.id))?.n) === 0)
      throw new GantryError('conflict', `${org.name} needs an owner; make somebody else one first`, {
        code: 'last-owner',
      });
  };

  return {
    of: async ({ id }) =>
      (await ofAccount.all(id)).map((row) => ({ name: String(row.name), role: checkRole(String(row.role)) })),
    members: async ({ id }) =>
      (await members.all(id)).map((row) => ({ account: String(row.name), role: checkRole(String(row.role)) })),
    async setMember(org, account, role) {
      const checked = checkRole(role);
      if (account.kind !== 'user')
        throw new GantryError('invalid', `${account.name} is an organisation; only people are members`);
      await db.transact([`members ${org.id}`], async () => {
        await put.run(org.id, account.id, checked);
        await keepOwner(org);
      });
    },
    removeMember: async (org, account) =>
      db.transact([`members ${org.id}`], async () => {
        if ((await drop.run(org.id, account.id)) === 0)
          throw new GantryError('not-found', `${account.name} is no member of ${org.name}`);
        await leaveTeams.run(account.id, org.id);
        await keepOwner(org);
      }),
    teams: async ({ id }) =>
      await Promise.all(
        (await teams.all(id)).map(async (row) => ({
          name: String(row.name),
          members: (await inTeam.all(Number(row.id))).map(({ name }) => String(name)),
          grants: (await grants.all(Number(row.id))).map(({ name, role }) => ({
            repository: String(name),
            role: checkRole(String(role)),
          })),
        })),
      ),
    async createTeam(org, name) {
      checkAccountName(name);
      if ((await team.get(org.id, name)) !== undefined)
        throw new GantryError('conflict', `${org.name} has a team "${name}" already`);
      await insertTeam.run(org.id, name);
    },
    removeTeam: async (org, name) => void (await dropTeam.run(await teamId(org, name))),
    async setInTeam(org, name, account, value) {
      const id = await teamId(org, name);
      if (value && (await roleIn.get(org.id, account.id)) === undefined)
        throw new GantryError('invalid', `${account.name} is no member of ${org.name}; add them there first`);
      await (value ? join : leave).run(id, account.id);
    },
    async grant(org, name, repository, role) {
      const id = await teamId(org, name);
      if (repository.owner !== org.id)
        throw new GantryError('invalid', `${repository.name} does not belong to ${org.name}`);
      if (role === undefined) await revoke.run(id, repository.id);
      else await grant.run(id, repository.id, checkRole(role));
    },
  };
}
