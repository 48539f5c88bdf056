import type { FastifyInstance } from 'fastify';
import type { PersonalToken } from '#registry/index.ts';
import { login } from '../authenticate.ts';
import type { HubDeps } from '../deps.ts';
import { callerOf, fields, isoTime, required, requiredNumber, signedIn } from './page-call.ts';
import { openSession } from './page-session.ts';

/** An account's own page, its settings and its personal tokens. */
export function accountPages(app: FastifyInstance, deps: HubDeps): void {
  const { accounts, personalTokens, organisations, quotas, access, audit } = deps;
  const shown = (token: PersonalToken) => ({
    id: token.id,
    name: token.name,
    scope: token.scope,
    repository: token.repository ?? null,
    created: isoTime(token.created),
    expires: token.expires === undefined ? null : isoTime(token.expires),
    used: token.used === undefined ? null : isoTime(token.used),
  });

  app.get('/account', async (request) => {
    const { account: me } = await callerOf(deps, request);
    const account = await accounts.mustFind(required(request, 'name'));
    const roleHere =
      me === undefined ? undefined : (await organisations.of(me)).find(({ name }) => name === account.name);
    const own = me?.id === account.id || roleHere !== undefined;
    return {
      name: account.name,
      kind: account.kind,
      about: account.about,
      created: isoTime(account.created),
      role: me?.id === account.id ? 'owner' : (roleHere?.role ?? null),
      ...(own ? { usage: await quotas.usage(account.id), quota: account.quota } : {}),
    };
  });
  app.patch('/account', async (request) => {
    const account = await signedIn(deps, request);
    const { defaultPrivate, about } = fields(request, { defaultPrivate: 'boolean?', about: 'string?' });
    if (defaultPrivate !== undefined) await accounts.setDefaultPrivate(account.id, defaultPrivate);
    if (about !== undefined) await accounts.update(account.id, { about });
    const { name, defaultPrivate: isPrivate, about: line } = await accounts.mustFind(account.name);
    return { name, defaultPrivate: isPrivate, about: line };
  });
  app.post('/account/password', async (request, reply) => {
    const { name } = await signedIn(deps, request);
    const { old, password } = fields(request, { old: 'string', password: 'string' });
    await login(deps, name, old, request.ip);
    await accounts.changePassword(name, password);
    await audit.record(name, 'account.password', name, request.ip);
    await openSession(deps, await accounts.mustFind(name), request, reply);
    return reply.code(204).send();
  });

  app.get('/tokens', async (request) => ({
    tokens: (await personalTokens.list(await signedIn(deps, request))).map(shown),
  }));
  app.post('/tokens', async (request, reply) => {
    const account = await signedIn(deps, request);
    const { name, scope, repository, days } = fields(request, {
      name: 'string',
      scope: 'string',
      repository: 'string?',
      days: 'number?',
    });
    if (repository !== undefined) await access.toPull({ account, scopes: undefined }, repository);
    const { secret, token } = await personalTokens.create(account, {
      name,
      scope,
      ...(repository === undefined ? {} : { repository }),
      ...(days === undefined ? {} : { expires: Date.now() + days * 24 * 3600_000 }),
    });
    await audit.record(account.name, 'token.create', `${account.name}/#${token.id} ${scope}`, request.ip);
    return reply.code(201).send({ secret, token: shown(token) });
  });
  app.delete('/tokens', async (request, reply) => {
    const account = await signedIn(deps, request);
    const id = requiredNumber(request, 'id');
    await personalTokens.revoke(account, id);
    await audit.record(account.name, 'token.revoke', `${account.name}/#${id}`, request.ip);
    return reply.code(204).send();
  });
}
