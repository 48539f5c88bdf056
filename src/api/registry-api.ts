import { GantryError } from '#errors/index.ts';
import type { ApiDeps } from './deps.ts';
import { filtersOf, json, type Operation, type Routes } from './operation.ts';
import { credentialsOf, filters, flag, integer, type Query } from './query.ts';
import { distributionInspect, searchResult } from './schema/image.ts';
import { list, integer as number, type ShapeOf, text } from './schema/schema.ts';
import { authConfig, authResponse } from './schema/system.ts';

const auth: Operation = {
  id: 'SystemAuth',
  method: 'POST',
  path: '/auth',
  summary: 'Try an account at a registry',
  body: json(authConfig),
  answers: { 200: json(authResponse) },
};

const search: Operation = {
  id: 'ImageSearch',
  method: 'GET',
  path: '/images/search',
  summary: 'Find repositories at a registry',
  query: {
    term: text('Part of a name, after the registry’s host where it is not Docker Hub'),
    limit: number('1 to 100; 25 where it is not given'),
    filters: filtersOf('is-automated', 'is-official', 'stars'),
  },
  answers: { 200: json(list(searchResult)) },
};

const distribution: Operation = {
  id: 'DistributionInspect',
  method: 'GET',
  path: '/distribution/{name…}/json',
  summary: 'What a registry has under a name, without pulling it',
  since: '1.30',
  answers: { 200: json(distributionInspect) },
};

/** Questions to registries. */
export function registryApi(routes: Routes, { images, registry }: ApiDeps): void {
  routes.add<{ Body: ShapeOf<typeof authConfig> }>(auth, async ({ body }) => {
    const address = (body.serveraddress ?? '').replace(/^https?:\/\//, '').replace(/\/.*$/, '') || 'docker.io';
    const { identityToken } = await registry.login(
      address,
      body.identitytoken
        ? { identityToken: body.identitytoken }
        : { username: body.username ?? '', password: body.password ?? '' },
    );
    return { Status: 'Login Succeeded', IdentityToken: identityToken ?? '' };
  });

  routes.add<{ Querystring: Query }>(search, async ({ query, headers }) => {
    const wanted = filters(query.filters);
    const limit = integer('limit', query.limit) ?? 25;
    if (limit < 1 || limit > 100) throw new GantryError('invalid', `limit ${limit} is outside the range of [1, 100]`);
    const term = query.term ?? '';
    if (term === '') throw new GantryError('invalid', 'no search term given; set term');
    const stars = Math.max(0, ...(wanted.get('stars') ?? []).map((count) => integer('stars', count) ?? 0));
    const official = wanted.get('is-official')?.map((yes) => flag(yes));
    const automated = wanted.get('is-automated')?.map((yes) => flag(yes));
    const found = await registry.search(term, { limit, credentials: credentialsOf(headers['x-registry-auth']) });
    return found
      .filter(
        (one) =>
          one.stars >= stars && (official?.includes(one.official) ?? true) && (automated?.includes(false) ?? true),
      )
      .map(({ name, description, stars: count, official: isOfficial }) => ({
        name,
        description,
        star_count: count,
        is_official: isOfficial,
        is_automated: false,
      }));
  });

  routes.add<{ Params: { name: string } }>(distribution, async ({ params, headers }) => {
    const { descriptor, platforms } = await images.inspectRemote(params.name, {
      credentials: credentialsOf(headers['x-registry-auth']),
    });
    return { Descriptor: descriptor, Platforms: platforms };
  });
}
