import type { FastifyInstance, FastifyRequest } from 'fastify';
import { GantryError } from '#errors/index.ts';
import type { Account, Role } from '#registry/index.ts';
import type { HubDeps } from '../deps.ts';
import { fields, isoTime, queryOf, required, requiredNumber, signedIn } from './page-call.ts';

const day = 24 * 3600_000;
const mostOwned = 20;

/**
 * The organisation that a request names with `?org=`, its caller and their role; to who is no member it does not exist.
 * @throws GantryError unauthorized, not-found, forbidden (code `denied`)
 */
export async function asMember(
  deps: Pick<HubDeps, 'accounts' | 'organisations' | 'credentials'>,
  request: FastifyRequest,
  needed: 'member' | 'owner' = 'member',
): Promise<{ readonly org: Account; readonly account: Account; readonly role: Role }> {
  const account = await signedIn(deps, request);
  const name = required(request, 'org');
  const found = (await deps.organisations.of(account)).find((org) => org.name === name);
  if (found === undefined)
    throw new GantryError('not-found', `there is no organisation ${name} that you belong to`, {
      code: 'account-unknown',
    });
  if (needed === 'owner' && found.role !== 'owner')
    throw new GantryError('forbidden', `only owners of ${name} may do this`, { code: 'denied' });
  return { org: await deps.accounts.mustFind(name, 'org'), account, role: found.role };
}

/** Organisations, such as a class: making one, its members, teams, invitations and records. */
export function organisationPages(app: FastifyInstance, deps: HubDeps): void {
  const { accounts, organisations, invitations, repositories, audit } = deps;
  const owner = async (request: FastifyRequest, action: string, subject: (org: string) => string) => {
    const { org, account } = await asMember(deps, request, 'owner');
    return { org, note: () => audit.record(account.name, action, subject(org.name), request.ip) };
  };

  app.post('/organisations', async (request, reply) => {
    const account = await signedIn(deps, request);
    const { name } = fields(request, { name: 'string' });
    const owned = (await organisations.of(account)).filter(({ role }) => role === 'owner');
    if (owned.length >= mostOwned && !account.admin)
      throw new GantryError('forbidden', `an account owns at most ${mostOwned} organisations`);
    await accounts.createOrg(name, account);
    await audit.record(account.name, 'org.create', name, request.ip);
    return reply.code(201).send({ name });
  });
  app.get('/organisation', async (request) => {
    const { org, role } = await asMember(deps, request);
    return {
      name: org.name,
      about: org.about,
      defaultPrivate: org.defaultPrivate,
      role,
      members: await organisations.members(org),
      teams: await organisations.teams(org),
      invitations:
        role === 'owner' ? (await invitations.list(org)).map((one) => ({ ...one, expires: isoTime(one.expires) })) : [],
    };
  });
  app.patch('/organisation', async (request, reply) => {
    const { org, note } = await owner(request, 'org.change', (name) => name);
    const { about, defaultPrivate } = fields(request, { about: 'string?', defaultPrivate: 'boolean?' });
    if (about !== undefined) await accounts.update(org.id, { about });
    if (defaultPrivate !== undefined) await accounts.setDefaultPrivate(org.id, defaultPrivate);
    await note();
    return reply.code(204).send();
  });
  app.delete('/organisation', async (request, reply) => {
    const { org, note } = await owner(request, 'org.delete', (name) => name);
    await accounts.remove(org.name);
    await note();
    return reply.code(204).send();
  });

  app.put('/organisation/member', async (request, reply) => {
    const { name, role } = fields(request, { name: 'string', role: 'string' });
    const { org, note } = await owner(request, 'member.set', (at) => `${at}/${name} ${role}`);
    await organisations.setMember(org, await accounts.mustFind(name, 'user'), role);
    await note();
    return reply.code(204).send();
  });
  app.delete('/organisation/member', async (request, reply) => {
    const name = required(request, 'name');
    const { org, account } = await asMember(
      deps,
      request,
      name === (await signedIn(deps, request)).name ? 'member' : 'owner',
    );
    await organisations.removeMember(org, await accounts.mustFind(name, 'user'));
    await audit.record(account.name, 'member.remove', `${org.name}/${name}`, request.ip);
    return reply.code(204).send();
  });

  app.post('/organisation/invitations', async (request, reply) => {
    const { role, uses, days } = fields(request, { role: 'string', uses: 'number', days: 'number' });
    const { org, note } = await owner(request, 'invitation.create', (at) => `${at}/invitation ${role}`);
    const code = await invitations.create(org, { role, uses, expires: Date.now() + days * day });
    await note();
    return reply.code(201).send({ code });
  });
  app.delete('/organisation/invitations', async (request, reply) => {
    const { org, note } = await owner(request, 'invitation.revoke', (at) => `${at}/invitation`);
    await invitations.revoke(org, requiredNumber(request, 'id'));
    await note();
    return reply.code(204).send();
  });

  app.post('/organisation/teams', async (request, reply) => {
    const { name } = fields(request, { name: 'string' });
    const { org, note } = await owner(request, 'team.create', (at) => `${at}/${name}`);
    await organisations.createTeam(org, name);
    await note();
    return reply.code(201).send({ name });
  });
  app.delete('/organisation/teams', async (request, reply) => {
    const name = required(request, 'team');
    const { org, note } = await owner(request, 'team.remove', (at) => `${at}/${name}`);
    await organisations.removeTeam(org, name);
    await note();
    return reply.code(204).send();
  });
  app.put('/organisation/team-member', async (request, reply) => {
    const { team, name, member } = fields(request, { team: 'string', name: 'string', member: 'boolean' });
    const { org, note } = await owner(request, 'team.member', (at) => `${at}/${team} ${member ? '+' : '-'}${name}`);
    await organisations.setInTeam(org, team, await accounts.mustFind(name, 'user'), member);
    await note();
    return reply.code(204).send();
  });
  app.put('/organisation/team-grant', async (request, reply) => {
    const { team, repository, role } = fields(request, { team: 'string', repository: 'string', role: 'string?' });
    const { org, note } = await owner(request, 'team.grant', (at) => `${at}/${team} ${repository} ${role ?? 'none'}`);
    const found = await repositories.find(repository);
    if (found === undefined || found.owner !== org.id)
      throw new GantryError('not-found', `${org.name} has no repository ${repository}`, { code: 'name-unknown' });
    await organisations.grant(org, team, found, role);
    await note();
    return reply.code(204).send();
  });
  app.get('/organisation/audit', async (request) => {
    const { org } = await owner(request, '', () => '');
    return { entries: await recordsOf(deps, queryOf(request), org.name) };
  });
}

/** The newest records, for a page. */
export async function recordsOf({ audit }: Pick<HubDeps, 'audit'>, query: URLSearchParams, namespace?: string) {
  const limit = Math.min(Number(query.get('n') ?? 100) || 100, 1000);
  const entries = await audit.list({ limit, ...(namespace === undefined ? {} : { namespace }) });
  return entries.map((entry) => ({ ...entry, time: isoTime(entry.time) }));
}
