import { GantryError } from '#errors/index.ts';
import {
  type Account,
  createAccounts,
  createAuditLog,
  createInvitations,
  createOrganisations,
  createPersonalTokens,
  createQuotas,
} from '#registry/index.ts';
import { type AdminCall, type AdminVerb, type AdminVerbs, parseLimit, printTable, say } from './admin-command.ts';

const day = 24 * 3600_000;
const partsOf = ({ db }: AdminCall) => {
  const accounts = createAccounts({ db });
  const audit = createAuditLog({ db });
  return {
    accounts,
    organisations: createOrganisations({ db }),
    quotas: createQuotas({ db }),
    invitations: createInvitations({ db }),
    personalTokens: createPersonalTokens({ db, accounts }),
    record: (action: string, subject: string) => audit.record('(command line)', action, subject, ''),
  };
};

const quotaVerb = (kind: Account['kind']): AdminVerb => ({
  takes: ['NAME'],
  flags: { bytes: 'string', repositories: 'string' },
  help: 'Limit what it may hold, such as --bytes 5GB --repositories 20; none for no limit',
  async run(call) {
    const { accounts, record } = partsOf(call);
    const { bytes, repositories } = call.flags;
    if (bytes === undefined && repositories === undefined)
      throw new GantryError('invalid', 'give --bytes, --repositories or both');
    const account = await accounts.mustFind(call.names[0] ?? '', kind);
    await accounts.update(account.id, {
      ...(bytes === undefined ? {} : { quotaBytes: parseLimit('bytes', String(bytes)) }),
      ...(repositories === undefined ? {} : { quotaRepositories: parseLimit('repositories', String(repositories)) }),
    });
    await record('admin.quota', account.name);
    say(`limits of ${account.name} set`);
  },
});

const listVerb = (kind: Account['kind'], what: string): AdminVerb => ({
  takes: [],
  help: `List ${what}`,
  async run(call) {
    const { accounts, quotas } = partsOf(call);
    const rows: string[][] = [];
    for (const { id, name, kind: its, repositories, created, admin } of await accounts.list()) {
      if (its !== kind) continue;
      const { bytes } = await quotas.usage(id);
      rows.push([name, String(repositories), new Date(created).toISOString(), String(bytes), admin ? 'admin' : '']);
    }
    printTable([['NAME', 'REPOSITORIES', 'CREATED', 'BYTES', ''], ...rows]);
  },
});

const removeVerb = (kind: Account['kind'], what: string): AdminVerb => ({
  takes: ['NAME'],
  help: 'Remove it with its repositories',
  async run(call) {
    const { accounts, record } = partsOf(call);
    const { name } = await accounts.mustFind(call.names[0] ?? '', kind);
    const { repositories } = await accounts.remove(name);
    await record('admin.remove', name);
    say(`${what} ${name} removed, with ${repositories} repositories`);
  },
});

export const userVerbs: AdminVerbs = {
  add: {
    takes: ['NAME'],
    flags: { 'password-stdin': 'boolean', admin: 'boolean' },
    help: 'Make an account; the password comes on standard input',
    async run(call) {
      const { accounts, record } = partsOf(call);
      const { id, name } = await accounts.create(call.names[0] ?? '', await readPassword(call));
      if (call.flags.admin === true) await accounts.update(id, { admin: true });
      await record('admin.user', name);
      say(`account ${name} made`);
    },
  },
  passwd: {
    takes: ['NAME'],
    flags: { 'password-stdin': 'boolean' },
    help: 'Give it a new password; what was signed in is signed out',
    async run(call) {
      const [name = ''] = call.names;
      const { accounts, record } = partsOf(call);
      await accounts.changePassword(name, await readPassword(call));
      await record('admin.password', name);
      say(`password of ${name} changed`);
    },
  },
  remove: removeVerb('user', 'account'),
  list: listVerb('user', 'accounts'),
  quota: quotaVerb('user'),
  admin: {
    takes: ['NAME', 'on|off'],
    help: 'Let it see and change accounts and limits on the pages, or not',
    async run(call) {
      const [name = '', value = ''] = call.names;
      if (value !== 'on' && value !== 'off') throw new GantryError('invalid', `"${value}" is neither on nor off`);
      const { accounts, record } = partsOf(call);
      await accounts.update((await accounts.mustFind(name, 'user')).id, { admin: value === 'on' });
      await record('admin.admin', `${name} ${value}`);
      say(`${name} ${value === 'on' ? 'is' : 'is not'} an administrator`);
    },
  },
  invite: {
    takes: [],
    flags: { uses: 'string', days: 'string' },
    help: 'Print a code that makes accounts where sign-up is by invitation (default --uses 1 --days 7)',
    async run(call) {
      const { invitations, record } = partsOf(call);
      const uses = Number(call.flags.uses ?? 1);
      const code = await invitations.create(undefined, {
        role: 'reader',
        uses,
        expires: Date.now() + Number(call.flags.days ?? 7) * day,
      });
      await record('admin.invite', `${uses} accounts`);
      say(code);
    },
  },
};

export const orgVerbs: AdminVerbs = {
  add: {
    takes: ['NAME', 'OWNER'],
    help: 'Make an organisation, such as a class, that an account owns',
    async run(call) {
      const [name = '', owner = ''] = call.names;
      const { accounts, record } = partsOf(call);
      await accounts.createOrg(name, await accounts.mustFind(owner, 'user'));
      await record('org.create', name);
      say(`organisation ${name} made`);
    },
  },
  remove: removeVerb('org', 'organisation'),
  list: listVerb('org', 'organisations'),
  quota: quotaVerb('org'),
  member: {
    takes: ['ORG', 'NAME', '[ROLE]'],
    flags: { remove: 'boolean' },
    help: 'Add a member as reader, contributor, writer or owner, change the role, or remove it',
    async run(call) {
      const [org = '', name = '', role = 'reader'] = call.names;
      const { accounts, organisations, record } = partsOf(call);
      const found = await accounts.mustFind(org, 'org');
      const member = await accounts.mustFind(name, 'user');
      if (call.flags.remove === true) await organisations.removeMember(found, member);
      else await organisations.setMember(found, member, role);
      await record('member.set', `${org}/${name}`);
      say(call.flags.remove === true ? `${name} is no member of ${org}` : `${name} is ${role} of ${org}`);
    },
  },
  members: {
    takes: ['ORG'],
    help: 'List its members',
    async run(call) {
      const { accounts, organisations } = partsOf(call);
      const members = await organisations.members(await accounts.mustFind(call.names[0] ?? '', 'org'));
      printTable([['NAME', 'ROLE'], ...members.map(({ account, role }) => [account, role])]);
    },
  },
};

export const tokenVerbs: AdminVerbs = {
  add: {
    takes: ['ACCOUNT', 'NAME'],
    flags: { scope: 'string', repository: 'string', days: 'string' },
    help: 'Print a new token, with --scope read, create, write or delete (default read)',
    async run(call) {
      const [account = '', name = ''] = call.names;
      const { accounts, personalTokens, record } = partsOf(call);
      const { scope = 'read', repository, days } = call.flags;
      const { secret, token } = await personalTokens.create(await accounts.mustFind(account, 'user'), {
        name,
        scope: String(scope),
        ...(repository === undefined ? {} : { repository: String(repository) }),
        ...(days === undefined ? {} : { expires: Date.now() + Number(days) * day }),
      });
      await record('token.create', `${account}/#${token.id} ${token.scope}`);
      say(secret);
    },
  },
  list: {
    takes: ['ACCOUNT'],
    help: 'List its tokens',
    async run(call) {
      const { accounts, personalTokens } = partsOf(call);
      const when = (time: number | undefined) => (time === undefined ? 'never' : new Date(time).toISOString());
      const owner = await accounts.mustFind(call.names[0] ?? '', 'user');
      const rows = (await personalTokens.list(owner)).map((token) => [
        String(token.id),
        token.name,
        token.scope,
        token.repository ?? 'all',
        when(token.expires),
        when(token.used),
      ]);
      printTable([['ID', 'NAME', 'SCOPE', 'REPOSITORY', 'EXPIRES', 'LAST USED'], ...rows]);
    },
  },
  revoke: {
    takes: ['ACCOUNT', 'ID'],
    help: 'Make a token worth nothing, with all that was issued to it',
    async run(call) {
      const [account = '', id = ''] = call.names;
      const { accounts, personalTokens, record } = partsOf(call);
      await personalTokens.revoke(await accounts.mustFind(account, 'user'), Number(id));
      await record('token.revoke', `${account}/#${id}`);
      say(`token ${id} of ${account} revoked`);
    },
  },
};

/** The password from standard input, without the newline at its end. @throws GantryError invalid without the flag */
export async function readPassword({ flags }: AdminCall): Promise<string> {
  if (flags['password-stdin'] !== true)
    throw new GantryError('invalid', 'give the password on standard input, with --password-stdin');
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
