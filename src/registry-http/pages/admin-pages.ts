import type { FastifyInstance, FastifyRequest } from 'fastify';
import { GantryError } from '#errors/index.ts';
import type { Account } from '#registry/index.ts';
import type { HubDeps } from '../deps.ts';
import { recordsOf } from './organisation-pages.ts';
import { fields, isoTime, queryOf, required, signedIn } from './page-call.ts';

/** For whoever runs the hub: accounts, their limits, invitations and records. Nobody's private images. */
export function adminPages(app: FastifyInstance, deps: HubDeps): void {
  const { accounts, invitations, quotas, audit } = deps;
  const admin = async (request: FastifyRequest): Promise<Account> => {
    const account = await signedIn(deps, request);
    if (!account.admin)
      throw new GantryError('forbidden', 'only an administrator of this hub may do this', { code: 'denied' });
    return account;
  };

  app.get('/admin/accounts', async (request) => {
    await admin(request);
    return {
      accounts: await Promise.all(
        (await accounts.list()).map(async (account) => ({
          name: account.name,
          kind: account.kind,
          admin: account.admin,
          created: isoTime(account.created),
          usage: await quotas.usage(account.id),
          quota: { bytes: account.quota.bytes ?? null, repositories: account.quota.repositories ?? null },
        })),
      ),
    };
  });
  app.patch('/admin/account', async (request, reply) => {
    const me = await admin(request);
    const account = await accounts.mustFind(required(request, 'name'));
    const change = fields(request, {
      quotaBytes: 'number|null?',
      quotaRepositories: 'number|null?',
      admin: 'boolean?',
    });
    if (change.admin === false && account.id === me.id)
      throw new GantryError('conflict', 'you cannot take this from yourself; another administrator can');
    await accounts.update(account.id, {
      ...(change.quotaBytes === undefined ? {} : { quotaBytes: change.quotaBytes }),
      ...(change.quotaRepositories === undefined ? {} : { quotaRepositories: change.quotaRepositories }),
      ...(change.admin === undefined ? {} : { admin: change.admin }),
    });
    await audit.record(me.name, 'admin.change', account.name, request.ip);
    return reply.code(204).send();
  });
  app.delete('/admin/account', async (request, reply) => {
    const me = await admin(request);
    const name = required(request, 'name');
    if (name === me.name) throw new GantryError('conflict', 'you cannot remove yourself; another administrator can');
    await accounts.remove(name);
    await audit.record(me.name, 'admin.remove', name, request.ip);
    return reply.code(204).send();
  });
  app.post('/admin/invitations', async (request, reply) => {
    const me = await admin(request);
    const { uses, days } = fields(request, { uses: 'number', days: 'number' });
    const code = await invitations.create(undefined, {
      role: 'reader',
      uses,
      expires: Date.now() + days * 24 * 3600_000,
    });
    await audit.record(me.name, 'admin.invite', `${uses} accounts`, request.ip);
    return reply.code(201).send({ code });
  });
  app.get('/admin/audit', async (request) => {
    await admin(request);
    return { entries: await recordsOf(deps, queryOf(request)) };
  });
}
