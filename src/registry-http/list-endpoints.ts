import { GantryError } from '#errors/index.ts';
import { mediaTypes } from '#oci/index.ts';
import type { Page } from '#registry/index.ts';
import type { HubDeps } from './deps.ts';
import type { V2Endpoint, V2Request } from './v2-call.ts';

const mostAtOnce = 1000;

/** Tags of a repository, in pages (distribution-spec: listing tags). */
export function tagsEndpoint({ access, tags }: Pick<HubDeps, 'access' | 'tags'>): V2Endpoint<'tags'> {
  return {
    async GET(call) {
      const { name } = call.path;
      const repository = await access.toPull(call.caller, name);
      return call.reply.send({ name, tags: await paged(call, (page) => tags.names(repository, page)) });
    },
  };
}

/** The repositories that the caller may read, in pages. */
export function catalogEndpoint({ repositories }: Pick<HubDeps, 'repositories'>): V2Endpoint<'catalog'> {
  return {
    async GET(call) {
      const names = await paged(call, async (page) =>
        (await repositories.readable(call.caller, page)).map(({ name }) => name),
      );
      return call.reply.send({ repositories: names });
    },
  };
}

/** What refers to a manifest, as an image index (distribution-spec: listing referrers). */
export function referrersEndpoint({
  access,
  manifests,
}: Pick<HubDeps, 'access' | 'manifests'>): V2Endpoint<'referrers'> {
  return {
    async GET({ path: { name, digest }, query, caller, reply }) {
      const all = await manifests.referrers(await access.toPull(caller, name), digest);
      const type = query.get('artifactType');
      if (type !== null) reply.header('oci-filters-applied', 'artifactType');
      const wanted = type === null ? all : all.filter(({ artifactType }) => artifactType === type);
      return reply
        .type(mediaTypes.ociIndex)
        .send(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: wanted })));
    },
  };
}

/** One page by `?n=` and `?last=`, with a Link to the next where there is more. */
async function paged(
  { query, request, reply }: V2Request,
  list: (page: Page) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const n = query.get('n');
  if (n !== null && !/^\d{1,9}$/.test(n)) throw new GantryError('invalid', `n=${n} is not a number of entries`);
  const limit = Math.min(n === null ? mostAtOnce : Number(n), mostAtOnce);
  if (limit === 0) return [];
  const found = await list({ last: query.get('last') ?? '', limit: limit + 1 });
  if (found.length <= limit) return found;
  const page = found.slice(0, limit);
  const path = request.url.split('?')[0] ?? '';
  reply.header('link', `<${path}?n=${limit}&last=${encodeURIComponent(page.at(-1) ?? '')}>; rel="next"`);
  return page;
}
