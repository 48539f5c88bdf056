import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorKind, GantryError, isGantryError, messageOf } from '#errors/index.ts';
import { type Account, LoginThrottled, namespaceOf, type Repository } from '#registry/index.ts';
import type { HubDeps } from './deps.ts';
import { statusOf } from './error-table.ts';
import { closeSession, openSession, requireOwnPage, sessionAccount } from './page-session.ts';
import { createSignUpLimit } from './sign-up-limit.ts';

const pageSize = 50;
const tagsShown = 100;

/** What the hub's pages ask, as JSON below `/api/v1/`; errors are `{kind, message}`. */
export async function pagesApi(app: FastifyInstance, deps: HubDeps): Promise<void> {
  const { accounts, repositories, manifests, tags, access } = deps;
  const signUps = createSignUpLimit();
  app.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store');
    if (request.method !== 'GET') requireOwnPage(request);
  });
  app.setErrorHandler((error, request, reply) => {
    const status = statusOf(error);
    if (status >= 500) deps.onError(error, `${request.method} ${request.url}`);
    if (error instanceof LoginThrottled) reply.header('retry-after', error.retryAfter);
    const kind: ErrorKind = isGantryError(error) ? error.kind : status < 500 ? 'invalid' : 'internal';
    const message = status === 500 ? 'the hub failed at this; whoever runs it finds why in its log' : messageOf(error);
    return reply.code(status).send({ kind, message });
  });

  const signedIn = (request: FastifyRequest): Account => {
    const account = sessionAccount(deps, request);
    if (account === undefined) throw new GantryError('unauthorized', 'sign in first', { code: 'login-required' });
    return account;
  };
  const session = (account: Account | undefined) => ({
    account: account === undefined ? null : { name: account.name, defaultPrivate: account.defaultPrivate },
    signUp: deps.signUp,
  });
  const shown = (repository: Repository) => ({
    name: repository.name,
    owner: namespaceOf(repository.name),
    private: repository.private,
    updated: new Date(repository.updated).toISOString(),
    tags: tags.newest(repository, tagsShown).map(({ name, digest, imageSize, updated }) => ({
      name,
      digest,
      size: imageSize,
      updated: new Date(updated).toISOString(),
    })),
  });
  /** The repository a request names with `?name=`, which must be the caller's. */
  const own = (request: FastifyRequest): Repository =>
    access.toDelete({ account: signedIn(request), scopes: undefined }, queryOf(request).get('name') ?? '');

  app.get('/session', async (request) => session(sessionAccount(deps, request)));
  app.post('/session', async (request, reply) => {
    const { name, password } = fields(request, { name: 'string', password: 'string' });
    const account = await accounts.login(name, password, request.ip);
    openSession(deps, account, request, reply);
    return session(account);
  });
  app.delete('/session', async (request, reply) => {
    closeSession(deps, request, reply);
    return reply.code(204).send();
  });

  app.post('/accounts', async (request, reply) => {
    if (deps.signUp === 'closed')
      throw new GantryError('forbidden', 'sign-up is closed here; ask whoever runs this hub for an account', {
        code: 'sign-up-closed',
      });
    const { name, password } = fields(request, { name: 'string', password: 'string' });
    signUps.count(request.ip);
    const account = await accounts.create(name, password);
    openSession(deps, account, request, reply);
    return reply.code(201).send(session(account));
  });
  app.patch('/account', async (request) => {
    const account = signedIn(request);
    accounts.setDefaultPrivate(account.id, fields(request, { defaultPrivate: 'boolean' }).defaultPrivate);
    return session(accounts.find(account.id));
  });

  app.get('/repositories', async (request) => {
    const query = queryOf(request);
    const page = { last: query.get('last') ?? '', limit: pageSize + 1 };
    const found =
      query.get('of') === 'me'
        ? repositories.ownedBy(signedIn(request), page)
        : repositories.readable({ account: undefined, scopes: undefined }, page);
    return { repositories: found.slice(0, pageSize).map(shown), more: found.length > pageSize };
  });
  app.patch('/repository', async (request) => {
    const repository = own(request);
    repositories.setPrivate(repository, fields(request, { private: 'boolean' }).private);
    return shown(repositories.find(repository.name) ?? repository);
  });
  app.delete('/tag', async (request, reply: FastifyReply) => {
    const tag = queryOf(request).get('tag') ?? '';
    if (tag.includes(':')) throw new GantryError('invalid', `"${tag}" is not a tag`, { code: 'tag-invalid' });
    manifests.delete(own(request), tag);
    return reply.code(204).send();
  });
}

const queryOf = (request: FastifyRequest): URLSearchParams => new URLSearchParams(request.url.split('?', 2)[1] ?? '');

interface FieldTypes {
  readonly string: string;
  readonly boolean: boolean;
}

/** The named fields of a JSON body, each of its type. @throws GantryError invalid, naming the field */
function fields<Shape extends Readonly<Record<string, keyof FieldTypes>>>(
  request: FastifyRequest,
  shape: Shape,
): { readonly [Key in keyof Shape]: FieldTypes[Shape[Key]] } {
  const body = request.body;
  for (const [key, type] of Object.entries(shape)) {
    const value: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, key) : undefined;
    if (typeof value !== type) throw new GantryError('invalid', `the field "${key}" must be a ${type}`);
  }
  return body as { readonly [Key in keyof Shape]: FieldTypes[Shape[Key]] };
}
