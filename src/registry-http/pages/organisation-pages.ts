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
export function asMember(
  deps: Pick<HubDeps, 'accounts' | 'organisations' | 'credentials'>,
  request: FastifyRequest,
  needed: 'member' | 'owner' = 'member',
): { readonly org: Account; readonly account: Account; readonly role: Role } {
  const account = signedIn(deps, request);
  const name = required(request, 'org');
  const found = deps.organisations.of(account).find((org) => org.name === name);
  if (found === undefined)
    throw new GantryError('not-found', `there is no organisation ${name} that you belong to`, {
      code: 'account-unknown',
    });
  if (needed === 'owner' && found.role !== 'owner')
    throw new GantryError('forbidden', `only owners of ${name} may do this`, { code: 'denied' });
  return { org: deps.accounts.mustFind(name, 'org'), account, role: found.role };
}

/** Organisations, such as a class: making one, its members, teams, invitations and records. */
export function organisationPages(app: FastifyInstance, deps: HubDeps): void {
  const { accounts, organisations, invitations, repositories, audit } = deps;
  const owner = (request: FastifyRequest, action: string, subject: (org: string) => string) => {
    const { org, account } = asMember(deps, request, 'owner');
    return { org, note: () => audit.record(account.name, action, subject(org.name), request.ip) };
  };

  app.post('/organisations', async (request, reply) => {
    const account = signedIn(deps, request);
    const { name } = fields(request, { name: 'string' });
    const owned = organisations.of(account).filter(({ role }) => role === 'owner');
    if (owned.length >= mostOwned && !account.admin)
      throw new GantryError('forbidden', `an account owns at most ${mostOwned} organisations`);
    accounts.createOrg(name, account);
    audit.record(account.name, 'org.create', name, request.ip);
    return reply.code(201).send({ name });
  });
  app.get('/organisation', async (request) => {
    const { org, role } = asMember(deps, request);
    return {
      name: org.name,
      about: org.about,
      defaultPrivate: org.defaultPrivate,
      role,
      members: organisations.members(org),
      teams: organisations.teams(org),
      invitations:
        role === 'owner' ? invitations.list(org).map((one) => ({ ...one, expires: isoTime(one.expires) })) : [],
    };
  });
  app.patch('/organisation', async (request, reply) => {
    const { org, note } = owner(request, 'org.change', (name) => name);
    const { about, defaultPrivate } = fields(request, { about: 'string?', defaultPrivate: 'boolean?' });
    if (about !== undefined) accounts.update(org.id, { about });
    if (defaultPrivate !== undefined) accounts.setDefaultPrivate(org.id, defaultPrivate);
    note();
    return reply.code(204).send();
  });
  app.delete('/organisation', async (request, reply) => {
    const { org, note } = owner(request, 'org.delete', (name) => name);
    accounts.remove(org.name);
    note();
    return reply.code(204).send();
  });

  app.put('/organisation/member', async (request, reply) => {
    const { name, role } = fields(request, { name: 'string', role: 'string' });
    const { org, note } = owner(request, 'member.set', (at) => `${at}/${name} ${role}`);
    organisations.setMember(org, accounts.mustFind(name, 'user'), role);
    note();
    return reply.code(204).send();
  });
  app.delete('/organisation/member', async (request, reply) => {
    const name = required(request, 'name');
    const { org, account } = asMember(deps, request, name === signedIn(deps, request).name ? 'member' : 'owner');
    organisations.removeMember(org, accounts.mustFind(name, 'user'));
    audit.record(account.name, 'member.remove', `${org.name}/${name}`, request.ip);
    return reply.code(204).send();
  });

  app.post('/organisation/invitations', async (request, reply) => {
    const { role, uses, days } = fields(request, { role: 'string', uses: 'number', days: 'number' });
    const { org, note } = owner(request, 'invitation.create', (at) => `${at}/invitation ${role}`);
    const code = invitations.create(org, { role, uses, expires: Date.now() + days * day });
    note();
    return reply.code(201).send({ code });
  });
  app.delete('/organisation/invitations', async (request, reply) => {
    const { org, note } = owner(request, 'invitation.revoke', (at) => `${at}/invitation`);
    invitations.revoke(org, requiredNumber(request, 'id'));
    note();
    return reply.code(204).send();
  });

  app.post('/organisation/teams', async (request, reply) => {
    const { name } = fields(request, { name: 'string' });
    const { org, note } = owner(request, 'team.create', (at) => `${at}/${name}`);
    organisations.createTeam(org, name);
    note();
    return reply.code(201).send({ name });
  });
  app.delete('/organisation/teams', async (request, reply) => {
    const name = required(request, 'team');
    const { org, note } = owner(request, 'team.remove', (at) => `${at}/${name}`);
    organisations.removeTeam(org, name);
    note();
    return reply.code(204).send();
  });
  app.put('/organisation/team-member', async (request, reply) => {
    const { team, name, member } = fields(request, { team: 'string', name: 'string', member: 'boolean' });
    const { org, note } = owner(request, 'team.member', (at) => `${at}/${team} ${member ? '+' : '-'}${name}`);
    organisations.setInTeam(org, team, accounts.mustFind(name, 'user'), member);
    note();
    return reply.code(204).send();
  });
  app.put('/organisation/team-grant', async (request, reply) => {
    const { team, repository, role } = fields(request, { team: 'string', repository: 'string', role: 'string?' });
    const { org, note } = owner(request, 'team.grant', (at) => `${at}/${team} ${repository} ${role ?? 'none'}`);
    const found = repositories.find(repository);
    if (found === undefined || found.owner !== org.id)
      throw new GantryError('not-found', `${org.name} has no repository ${repository}`, { code: 'name-unknown' });
    organisations.grant(org, team, found, role);
    note();
    return reply.code(204).send();
  });
  app.get('/organisation/audit', async (request) => {
    const { org } = owner(request, '', () => '');
    return { entries: recordsOf(deps, queryOf(request), org.name) };
  });
}

/** The newest records, for a page. */
export function recordsOf({ audit }: Pick<HubDeps, 'audit'>, query: URLSearchParams, namespace?: string) {
  const limit = Math.min(Number(query.get('n') ?? 100) || 100, 1000);
  return audit
    .list({ limit, ...(namespace === undefined ? {} : { namespace }) })
    .map((entry) => ({ ...entry, time: isoTime(entry.time) }));
}
