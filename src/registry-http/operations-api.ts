import type { FastifyInstance, FastifyRequest } from 'fastify';
import { GantryError, messageOf } from '#errors/index.ts';
import { basicLogin, service } from './authenticate.ts';
import type { HubDeps } from './deps.ts';
import { statusOf } from './error-table.ts';
import { createMetrics } from './metrics.ts';
import { parseV2Path } from './v2-path.ts';

/** For whoever runs the hub: `/healthz` (alive), `/readyz` (able to serve), `/metrics` (Prometheus, administrators only). */
export function operationsApi(app: FastifyInstance, deps: HubDeps): void {
  const metrics = createMetrics();
  let closing = false;
  app.addHook('preClose', async () => {
    closing = true;
  });
  app.addHook('onRequest', (_request, _reply, done) => {
    metrics.began();
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    metrics.ended(request.method, kindOf(request), reply.statusCode, reply.elapsedTime / 1000);
    done();
  });

  app.get('/healthz', (_request, reply) => reply.type('text/plain').send('ok\n'));
  app.get('/readyz', async (_request, reply) => {
    const lacks = closing ? 'the hub is ending' : await deps.ready();
    return reply
      .code(lacks === undefined ? 200 : 503)
      .type('text/plain')
      .send(`${lacks ?? 'ok'}\n`);
  });
  app.get('/metrics', async (request, reply) => {
    try {
      const { account } = await basicLogin(deps, request);
      if (account === undefined || !account.admin)
        throw new GantryError('unauthorized', 'log in as an administrator of this hub, with Basic', {
          code: 'login-required',
        });
    } catch (error) {
      return reply
        .code(statusOf(error))
        .header('www-authenticate', `Basic realm="${service}"`)
        .type('text/plain')
        .send(`${messageOf(error)}\n`);
    }
    return reply.type('text/plain; version=0.0.4').send(metrics.text());
  });
}

/** What a request was about: never a name, so that there are few. */
function kindOf(request: FastifyRequest): string {
  const [path = ''] = request.url.split('?', 1);
  if (path.startsWith('/v2')) return parseV2Path(path)?.kind ?? 'unknown';
  const [, first = ''] = path.split('/');
  return ['api', 'assets', 'token', 'healthz', 'readyz', 'metrics'].includes(first) ? first : 'page';
}
