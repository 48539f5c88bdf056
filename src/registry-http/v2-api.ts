import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GantryError, isGantryError, messageOf } from '#errors/index.ts';
import { LoginThrottled, RangeInvalid } from '#registry/index.ts';
import { authenticate, challenge } from './authenticate.ts';
import { blobEndpoint } from './blob-endpoints.ts';
import type { HubDeps } from './deps.ts';
import { statusOf, wireErrorOf } from './error-table.ts';
import { catalogEndpoint, referrersEndpoint, tagsEndpoint } from './list-endpoints.ts';
import { manifestEndpoint } from './manifest-endpoint.ts';
import { uploadEndpoint, uploadRange, uploadsEndpoint } from './upload-endpoints.ts';
import type { Method, V2Call, V2Endpoints } from './v2-call.ts';
import { parseV2Path, type V2Path } from './v2-path.ts';

const methods: readonly Method[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** An endpoint of any kind: its handlers take the call of the path that chose it. */
type AnyEndpoint = Readonly<Partial<Record<Method, (call: never) => Promise<FastifyReply> | FastifyReply>>>;

/** The OCI distribution API (distribution-spec 1.1) below `/v2/`. */
export async function v2Api(app: FastifyInstance, deps: HubDeps): Promise<void> {
  const endpoints: V2Endpoints = {
    base: { GET: baseEndpoint, HEAD: baseEndpoint },
    catalog: catalogEndpoint(deps),
    tags: tagsEndpoint(deps),
    manifest: manifestEndpoint(deps),
    blob: blobEndpoint(deps),
    uploads: uploadsEndpoint(deps),
    upload: uploadEndpoint(deps),
    referrers: referrersEndpoint(deps),
  };
  // Bodies reach their handlers as the raw stream.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  app.addHook('onRequest', (_request, reply, done) => {
    reply
      .header('docker-distribution-api-version', 'registry/2.0')
      .header('content-security-policy', "default-src 'none'; sandbox");
    done();
  });
  app.setErrorHandler((error, request, reply) => {
    const status = statusOf(error);
    if (status >= 500) deps.onError(error, `${request.method} ${request.url}`);
    const known = isGantryError(error);
    const code = known ? wireErrorOf(error).code : status === 500 ? 'UNKNOWN' : 'UNSUPPORTED';
    const message = status === 500 ? 'the hub failed at this; whoever runs it finds why in its log' : messageOf(error);
    if (known && status === 401)
      reply.header('www-authenticate', challenge(request, wantedScope(request, deps), error));
    if (error instanceof LoginThrottled) reply.header('retry-after', error.retryAfter);
    if (error instanceof RangeInvalid) reply.header('range', uploadRange(error.offset));
    return reply
      .code(status)
      .removeHeader('content-length')
      .type('application/json')
      .send({ errors: [{ code, message }] });
  });
  for (const url of ['/v2', '/v2/*'])
    app.route({
      method: [...methods],
      url,
      exposeHeadRoute: false,
      handler: async (request, reply) => {
        const { path, query } = urlOf(request, deps);
        if (path === undefined) throw new GantryError('not-found', `${request.url} is no part of the distribution API`);
        const endpoint: AnyEndpoint = endpoints[path.kind];
        const handler = endpoint[request.method as Method];
        if (handler === undefined) {
          reply.header('allow', Object.keys(endpoint).join(', '));
          throw new GantryError('unsupported', `${request.method} is not possible on ${request.url}`);
        }
        const caller = await authenticate(deps, request);
        return await handler({ path, query, caller, request, reply } as never);
      },
    });
}

/** Says that this is a registry, to whoever is logged in; a client checks its password here. */
function baseEndpoint({ caller, reply }: V2Call<'base'>) {
  if (caller.account === undefined && caller.scopes === undefined)
    throw new GantryError('unauthorized', 'log in, or ask for an anonymous token', { code: 'login-required' });
  return reply.send({});
}

type MirrorHosts = Pick<HubDeps, 'mirrorHosts'>;

function urlOf(
  request: FastifyRequest,
  { mirrorHosts }: MirrorHosts,
): { path: V2Path | undefined; query: URLSearchParams } {
  const [path = '', query = ''] = request.url.split('?', 2);
  let decoded = path;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    // A broken escape names nothing.
  }
  const parsed = parseV2Path(decoded);
  const mirror = mirrorHosts.size === 0 ? undefined : mirrorHosts.get(hostOf(request));
  return {
    path:
      mirror === undefined || parsed === undefined || !('name' in parsed)
        ? parsed
        : { ...parsed, name: `${mirror}/${parsed.name}` },
    query: new URLSearchParams(query),
  };
}

/** The name that the client called the hub by, without a port. */
const hostOf = ({ headers }: FastifyRequest): string => (headers.host ?? '').replace(/:\d+$/, '').toLowerCase();

/** What a token would have to cover for this request, for the challenge. */
function wantedScope(request: FastifyRequest, hosts: MirrorHosts): string {
  const { path, query } = urlOf(request, hosts);
  if (path === undefined || path.kind === 'base') return '';
  if (path.kind === 'catalog') return 'registry:catalog:*';
  // The challenge quotes it: a name that is none is not repeated.
  if (!/^[a-z0-9._/-]{1,255}$/.test(path.name)) return '';
  const actions =
    request.method === 'GET' || request.method === 'HEAD'
      ? path.kind === 'upload'
        ? 'pull,push'
        : 'pull'
      : request.method === 'DELETE' && path.kind !== 'upload'
        ? 'delete'
        : 'pull,push';
  const from = query.get('from') ?? '';
  const also = path.kind === 'uploads' && /^[a-z0-9._/-]{1,255}$/.test(from) ? ` repository:${from}:pull` : '';
  return `repository:${path.name}:${actions}${also}`;
}
