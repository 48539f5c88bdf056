import type { FastifyInstance } from 'fastify';
import { GantryError } from '#errors/index.ts';
import type { Account } from '#registry/index.ts';
import { login } from '../authenticate.ts';
import type { HubDeps } from '../deps.ts';
import { fields, signedIn } from './page-call.ts';
import { closeSession, openSession, sessionAccount } from './page-session.ts';
import { createSignUpLimit } from './sign-up-limit.ts';

/** Signing up, in and out, and joining by an invitation. */
export function sessionPages(app: FastifyInstance, deps: HubDeps): void {
  const { accounts, organisations, invitations, audit } = deps;
  const signUps = createSignUpLimit();
  const session = async (account: Account | undefined) => ({
    account:
      account === undefined
        ? null
        : {
            name: account.name,
            admin: account.admin,
            defaultPrivate: account.defaultPrivate,
            organisations: await organisations.of(account),
          },
    signUp: deps.signUp,
  });

  app.get('/session', async (request) => await session(await sessionAccount(deps, request)));
  app.post('/session', async (request, reply) => {
    const { name, password } = fields(request, { name: 'string', password: 'string' });
    const { account, limit } = await login(deps, name, password, request.ip);
    // A page may do all that its person may: a token that may do less opens none.
    if (account === undefined || limit !== undefined)
      throw new GantryError('forbidden', 'sign in with your password; a token is for machines', { code: 'denied' });
    await openSession(deps, account, request, reply);
    return await session(account);
  });
  app.delete('/session', async (request, reply) => {
    await closeSession(deps, request, reply);
    return reply.code(204).send();
  });

  app.post('/accounts', async (request, reply) => {
    const { name, password, invitation } = fields(request, {
      name: 'string',
      password: 'string',
      invitation: 'string?',
    });
    if (deps.signUp === 'closed')
      throw new GantryError('forbidden', 'sign-up is closed here; ask whoever runs this hub for an account', {
        code: 'sign-up-closed',
      });
    if (deps.signUp === 'invite' && invitation === undefined)
      throw new GantryError('forbidden', 'sign-up needs an invitation here; ask for a link', {
        code: 'sign-up-closed',
      });
    if (invitation !== undefined) await invitations.read(invitation);
    signUps.count(request.ip);
    const account = await accounts.create(name, password);
    try {
      if (invitation !== undefined) await invitations.accept(invitation, account);
    } catch (error) {
      await accounts.remove(name); // its last use went to somebody else meanwhile
      throw error;
    }
    await audit.record(name, 'account.create', name, request.ip);
    await openSession(deps, account, request, reply);
    return reply.code(201).send(await session(account));
  });
  app.post('/invitation', async (request) => {
    const account = await signedIn(deps, request);
    const { code } = fields(request, { code: 'string' });
    await invitations.accept(code, account);
    await audit.record(account.name, 'invitation.accept', account.name, request.ip);
    return await session(account);
  });
}
