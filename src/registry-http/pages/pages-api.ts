import type { FastifyInstance } from 'fastify';
import { type ErrorKind, isGantryError, messageOf } from '#errors/index.ts';
import { LoginThrottled } from '#registry/index.ts';
import type { HubDeps } from '../deps.ts';
import { statusOf } from '../error-table.ts';
import { accountPages } from './account-pages.ts';
import { adminPages } from './admin-pages.ts';
import { boardPages } from './board-pages.ts';
import { organisationPages } from './organisation-pages.ts';
import { requireOwnPage } from './page-session.ts';
import { repositoryPages } from './repository-pages.ts';
import { sessionPages } from './session-pages.ts';

/** What the hub's pages ask, as JSON below `/api/v1/`; errors are `{kind, message}`. */
export async function pagesApi(app: FastifyInstance, deps: HubDeps): Promise<void> {
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
  for (const pages of [sessionPages, accountPages, repositoryPages, organisationPages, boardPages, adminPages])
    pages(app, deps);
}
