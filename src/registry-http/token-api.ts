import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GantryError, isGantryError, messageOf } from '#errors/index.ts';
import { type Caller, LoginThrottled, type Scope } from '#registry/index.ts';
import { basicLogin, login, service } from './authenticate.ts';
import type { HubDeps } from './deps.ts';
import { statusOf, wireErrorOf } from './error-table.ts';
import { readBody } from './read-body.ts';
import { formatScope, parseScope } from './scope.ts';

/** The token endpoint: GET with Basic, and POST with OAuth2's password and refresh_token grants (Docker's token spec). */
export async function tokenApi(app: FastifyInstance, deps: HubDeps): Promise<void> {
  const { credentials, tokens, access } = deps;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  app.setErrorHandler((error, request, reply) => {
    const status = statusOf(error);
    if (status >= 500) deps.onError(error, `${request.method} /token`);
    if (status === 401) reply.header('www-authenticate', `Basic realm="${service}"`);
    if (error instanceof LoginThrottled) reply.header('retry-after', error.retryAfter);
    const message = status === 500 ? 'the hub failed at this; whoever runs it finds why in its log' : messageOf(error);
    const code = isGantryError(error) ? wireErrorOf(error).code : 'UNKNOWN';
    // OAuth2 clients read `error`, registry clients `errors`.
    return reply.code(status).send({
      error: status === 401 ? 'invalid_grant' : 'invalid_request',
      error_description: message,
      errors: [{ code, message }],
    });
  });

  const granted = async (caller: Caller, texts: readonly string[]): Promise<readonly Scope[]> => {
    const scopes: Scope[] = [];
    const words = texts
      .flatMap((text) => text.split(' '))
      .filter((text) => text !== '')
      .slice(0, 50);
    for (const text of words) {
      const scope = parseScope(text);
      if (scope === undefined) throw new GantryError('invalid', `"${text.slice(0, 200)}" is not a scope`);
      if (scope.type === 'registry' && scope.name === 'catalog' && caller.account !== undefined) scopes.push(scope);
      if (scope.type !== 'repository') continue;
      scopes.push({ ...scope, actions: await access.grantable(caller, scope.name, scope.actions) });
    }
    return scopes.filter(({ actions }) => actions.length > 0);
  };

  /** An identity token outlives what it was given for: who came with a personal token keeps that one instead. */
  const refreshFor = async ({ account, limit }: Caller): Promise<string | undefined> =>
    account === undefined || limit !== undefined ? undefined : await credentials.issue(account, 'refresh');

  const answer = (reply: FastifyReply, caller: Caller, scopes: readonly Scope[], refresh: string | undefined) => {
    const { token, issued, expiresIn } = tokens.issue(caller, scopes);
    return reply.header('cache-control', 'no-store').send({
      token,
      access_token: token,
      expires_in: expiresIn,
      issued_at: issued.toISOString(),
      scope: scopes.map(formatScope).join(' '),
      ...(refresh === undefined ? {} : { refresh_token: refresh }),
    });
  };

  app.get('/token', { exposeHeadRoute: false }, async (request, reply) => {
    const query = new URLSearchParams(request.url.split('?', 2)[1] ?? '');
    // Basic only: a token may not beget tokens that cover more.
    const caller = await basicLogin(deps, request);
    const refresh = query.get('offline_token') === 'true' ? await refreshFor(caller) : undefined;
    return answer(reply, caller, await granted(caller, query.getAll('scope')), refresh);
  });

  const grant = async (form: URLSearchParams, request: FastifyRequest): Promise<[Caller, string | undefined]> => {
    const kind = form.get('grant_type') ?? '';
    if (kind === 'password') {
      const caller = await login(deps, form.get('username') ?? '', form.get('password') ?? '', request.ip);
      return [caller, form.get('access_type') === 'offline' ? await refreshFor(caller) : undefined];
    }
    if (kind === 'refresh_token') {
      const secret = form.get('refresh_token') ?? '';
      const account = await credentials.read(secret, 'refresh');
      if (account === undefined)
        throw new GantryError('unauthorized', 'the identity token is not valid any more; log in again', {
          code: 'token-invalid',
        });
      return [{ account, scopes: undefined }, secret];
    }
    throw new GantryError('invalid', `grant_type "${kind.slice(0, 40)}" is neither password nor refresh_token`);
  };

  app.post('/token', async (request, reply) => {
    const form = new URLSearchParams((await readBody(request.raw, 16 << 10)).toString('utf8'));
    const [caller, refresh] = await grant(form, request);
    return answer(reply, caller, await granted(caller, form.getAll('scope')), refresh);
  });
}
