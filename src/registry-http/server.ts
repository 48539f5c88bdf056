import fastify, { type FastifyInstance } from 'fastify';
import type { HubDeps } from './deps.ts';
import { lingeringClose } from './lingering-close.ts';
import { operationsApi } from './operations-api.ts';
import { pagesApi } from './pages/pages-api.ts';
import { staticPages } from './static-pages.ts';
import { tokenApi } from './token-api.ts';
import { v2Api } from './v2-api.ts';

/** Certificate and key, PEM. */
export interface HubTls {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** How long a connection may be silent, in milliseconds; a large upload may take as long as it needs. */
const silence = 120_000;

/** The hub over HTTP: distribution API, token endpoint, the pages' API and the pages. It does not listen yet. */
export function createHubServer(
  deps: HubDeps,
  { tls, trustProxy }: { readonly tls?: HubTls | undefined; readonly trustProxy?: string | undefined } = {},
): FastifyInstance {
  const options = {
    bodyLimit: 64 << 10,
    requestTimeout: 0,
    connectionTimeout: silence,
    keepAliveTimeout: 75_000,
    forceCloseConnections: 'idle' as const,
    ...(trustProxy === undefined ? {} : { trustProxy }),
    routerOptions: { maxParamLength: 1024 },
  };
  const app: FastifyInstance =
    tls === undefined ? fastify(options) : (fastify({ ...options, https: tls }) as unknown as FastifyInstance);
  // Hooks that wait for nothing call back: a promise each costs more than they do.
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-content-type-options', 'nosniff').header('referrer-policy', 'same-origin');
    if (request.protocol === 'https') reply.header('strict-transport-security', 'max-age=31536000');
    done();
  });
  lingeringClose(app);
  operationsApi(app, deps);
  app.register((scope) => v2Api(scope, deps));
  app.register((scope) => tokenApi(scope, deps));
  app.register((scope) => pagesApi(scope, deps), { prefix: '/api/v1' });
  staticPages(app, deps);
  return app;
}
