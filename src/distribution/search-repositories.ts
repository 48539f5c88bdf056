import { GantryError } from '#errors/index.ts';
import { hostPattern } from '#oci/index.ts';
import type { RegistryCalls } from './registry-calls.ts';
import type { RequestOptions } from './registry-client.ts';
import { jsonOf, responseError } from './response-error.ts';

/** A repository that a registry found. */
export interface FoundRepository {
  readonly name: string;
  readonly description: string;
  readonly stars: number;
  readonly official: boolean;
}

interface SearchAnswer {
  results: { name?: string; description?: string; star_count?: number; is_official?: boolean }[] | null;
}

/** Docker Hub's search answers at another host than its images. */
const hubHost = 'index.docker.io';
const mostPages = 10;

/**
 * Repositories with a word in their names: by Docker's search (`/v1/search`), and at a registry without it, out of the
 * list of all it has (distribution-spec: `/v2/_catalog`). `term` begins with the registry's host where it is not Docker Hub.
 * @throws GantryError unauthorized, unavailable, …
 */
export async function searchRepositories(
  { call, baseOf }: Pick<RegistryCalls, 'call' | 'baseOf'>,
  term: string,
  { limit, ...request }: RequestOptions & { readonly limit: number },
): Promise<readonly FoundRepository[]> {
  const slash = term.indexOf('/');
  const first = slash < 0 ? '' : term.slice(0, slash);
  const named = first === 'localhost' || /[.:]/.test(first);
  if (named && !hostPattern.test(first))
    throw new GantryError('invalid', `"${first}" in the search "${term}" is not a registry's host`);
  const registry = named && first !== 'docker.io' ? first : hubHost;
  const word = named ? term.slice(slash + 1) : term;
  const prefix = named && first !== 'docker.io' ? `${first}/` : '';
  const base = await baseOf(registry, request.signal);
  const query = new URLSearchParams({ q: word, n: String(limit) });
  const response = await call({ method: 'GET', base, path: `/v1/search?${query}`, scope: '' }, request);
  // A registry with pages of its own may answer with one of them.
  if (response.statusCode === 200 && /\bjson\b/.test(String(response.headers['content-type']))) {
    const { results } = await jsonOf<SearchAnswer>(registry, response);
    return (results ?? []).slice(0, limit).map((one) => ({
      name: `${prefix}${one.name ?? ''}`,
      description: one.description ?? '',
      stars: one.star_count ?? 0,
      official: one.is_official ?? false,
    }));
  }
  if (response.statusCode !== 404 && response.statusCode !== 200)
    throw await responseError(`search at ${registry} failed`, registry, response);
  response.resume();
  const found: FoundRepository[] = [];
  let path = `/v2/_catalog?n=1000`;
  for (let page = 0; page < mostPages && found.length < limit; page++) {
    const list = await call({ method: 'GET', base, path, scope: 'registry:catalog:*' }, request);
    if (list.statusCode !== 200) throw await responseError(`search at ${registry} failed`, registry, list);
    const link = /<([^>]+)>\s*;\s*rel="?next"?/.exec(String(list.headers.link ?? ''))?.[1];
    const { repositories } = await jsonOf<{ repositories: string[] | null }>(registry, list);
    for (const name of repositories ?? [])
      if (name.includes(word)) found.push({ name: `${prefix}${name}`, description: '', stars: 0, official: false });
    if (link === undefined) break;
    const next = new URL(link, base);
    path = next.pathname + next.search;
  }
  return found.slice(0, limit);
}
