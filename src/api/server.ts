import type { Duplex } from 'node:stream';
import fastify, { type FastifyInstance } from 'fastify';
import { messageOf } from '#errors/index.ts';
import { usualVersion, withoutVersion } from './api-version.ts';
import { archiveApi } from './archive-api.ts';
import { buildApi } from './build-api.ts';
import { containerStreamsApi } from './container-streams-api.ts';
import { containersApi } from './containers-api.ts';
import type { ApiDeps } from './deps.ts';
import { errorAnswer } from './error-answer.ts';
import { execApi } from './exec-api.ts';
import { createHijackHandler } from './hijack.ts';
import { imagesApi } from './images-api.ts';
import { networksApi } from './networks-api.ts';
import { describeApi } from './openapi.ts';
import { createRoutes, json } from './operation.ts';
import { outside } from './outside-api.ts';
import { registryApi } from './registry-api.ts';
import { anything } from './schema/schema.ts';
import { statsApi } from './stats-api.ts';
import { storageApi } from './storage-api.ts';
import { systemApi } from './system-api.ts';
import { volumesApi } from './volumes-api.ts';

/**
 * The Docker Engine API over the engine. Every path answers with and without a `/v1.NN` before it; what it answers is told
 * at /openapi.json.
 */
export function createApiServer(deps: ApiDeps): FastifyInstance {
  const app = fastify({
    rewriteUrl: (request) => withoutVersion(request.url ?? '/'),
    bodyLimit: 8 * 1024 * 1024,
    routerOptions: { maxParamLength: 512 },
    forceCloseConnections: true,
  });
  // Only JSON is parsed; everything else (tar streams) reaches its handler as the raw stream.
  // Docker's client sends archives as text/plain.
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, text, done) => {
    try {
      done(null, text === '' ? {} : JSON.parse(text.toString()));
    } catch (error) {
      done(Object.assign(new Error(`invalid JSON in the request's body: ${messageOf(error)}`), { statusCode: 400 }));
    }
  });
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  app.addHook('onRequest', async (_request, reply) => {
    reply
      .header('api-version', usualVersion)
      .header('server', `Gantry/${deps.host.version} (linux)`)
      .header('docker-experimental', 'false')
      .header('ostype', 'linux');
  });
  // Docker's client reads an error's body only where this header says exactly that.
  app.addHook('onSend', async (_request, reply, payload) => {
    if (reply.getHeader('content-type') === 'application/json; charset=utf-8')
      reply.header('content-type', 'application/json');
    return payload;
  });
  app.setErrorHandler((error, request, reply) => {
    const { status, message, known } = errorAnswer(error);
    if (!known && status >= 500) deps.onError(error, `${request.method} ${request.url}`);
    return reply.code(status).send({ message });
  });
  app.setNotFoundHandler(async (request, reply) => reply.send(outside(request.method, request.url)));

  const routes = createRoutes(app);
  systemApi(routes, deps);
  containersApi(routes, deps);
  containerStreamsApi(routes, deps);
  statsApi(routes, deps);
  execApi(routes, deps);
  archiveApi(routes, deps);
  imagesApi(routes, deps);
  registryApi(routes, deps);
  storageApi(routes, deps);
  networksApi(routes, deps);
  volumesApi(routes, deps);
  const buildSessions = buildApi(routes, deps);
  routes.add(
    {
      id: 'GantryDescription',
      method: 'GET',
      path: '/openapi.json',
      summary: 'This description',
      answers: { 200: json(anything()) },
    },
    async () => describeApi(routes.operations, deps.host.version),
  );
  routes.finish();

  const taken = new Set<Duplex>();
  app.server.on('upgrade', (_request, socket: Duplex) => {
    taken.add(socket);
    socket.once('close', () => taken.delete(socket));
  });
  app.server.on('upgrade', createHijackHandler(deps, buildSessions));
  // A server that closes waits for these too, and does not count them among the connections it ends.
  app.addHook('preClose', async () => {
    for (const socket of taken) socket.destroy();
  });
  return app;
}
