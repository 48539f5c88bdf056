import type { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { GantryError, messageOf } from '#errors/index.ts';
import type { Credentials } from '#images/index.ts';
import type { ApiDeps } from './deps.ts';
import { progressLine } from './images-api.ts';
import { flag, type Query } from './query.ts';
import { clientSignal, jsonLines } from './streams.ts';

const jsonOf = <T>(name: string, text: string | undefined, fallback: T): T => {
  if (text === undefined || text === '') return fallback;
  try {
    return (JSON.parse(text) as T) ?? fallback;
  } catch (error) {
    throw new GantryError('invalid', `the parameter ${name} is not JSON: ${messageOf(error)}`);
  }
};

function credentialsByHost(header: string | string[] | undefined): Readonly<Record<string, Credentials>> {
  if (typeof header !== 'string' || header === '') return {};
  const parsed = jsonOf<Record<string, { username?: string; password?: string; identitytoken?: string }>>(
    'X-Registry-Config',
    Buffer.from(header, 'base64url').toString('utf8'),
    {},
  );
  return Object.fromEntries(
    Object.entries(parsed).map(([host, auth]) => [
      host.replace(/^https?:\/\//, '').replace(/\/.*$/, ''),
      auth.identitytoken
        ? { identityToken: auth.identitytoken }
        : { username: auth.username ?? '', password: auth.password ?? '' },
    ]),
  );
}

/** POST /build: the classic builder's call (DOCKER_BUILDKIT=0), answered by our solver. */
export function buildApi(app: FastifyInstance, { builder, onError }: ApiDeps): void {
  app.post<{ Querystring: Query; Body: Readable }>('/build', async (request, reply) => {
    const { query, headers, body } = request;
    if (query.version === '2')
      throw new GantryError('unsupported', 'BuildKit sessions are not supported yet; set DOCKER_BUILDKIT=0');
    if (query.remote)
      throw new GantryError('unsupported', `a remote context ("${query.remote}") is not supported yet; send a tar`);
    for (const name of ['squash', 'outputs', 'cachefrom', 'extrahosts'])
      if (query[name] && !['0', '[]', 'null', 'false'].includes(query[name]))
        throw new GantryError('unsupported', `build option ${name} is not supported yet`);
    const tags = new URL(request.raw.url ?? '/', 'http://engine').searchParams.getAll('t');
    const build = {
      context: body,
      dockerfile: query.dockerfile || 'Dockerfile',
      tags,
      buildArgs: jsonOf<Record<string, string | null>>('buildargs', query.buildargs, {}),
      labels: jsonOf<Record<string, string>>('labels', query.labels, {}),
      noCache: flag(query.nocache),
      pull: flag(query.pull),
      credentials: credentialsByHost(headers['x-registry-config']),
      ...(query.target ? { target: query.target } : {}),
      ...(query.networkmode ? { networkMode: query.networkmode } : {}),
      ...(query.platform ? { platform: query.platform } : {}),
    };
    const signal = clientSignal(reply);
    const quiet = flag(query.q);
    return jsonLines(reply, async (send) => {
      try {
        const { imageId } = await builder.build(build, {
          signal,
          onOutput: (event) => {
            if ('progress' in event) {
              if (!quiet) send(progressLine(event.progress));
            } else if (!quiet || 'aux' in event) send(event);
          },
        });
        if (quiet) send({ stream: `${imageId}\n` });
      } catch (error) {
        if (!(error instanceof GantryError)) onError(error, 'build');
        throw error;
      }
    });
  });
}
