import { GantryError } from '#errors/index.ts';
import type { Reference } from '#oci/index.ts';
import type { Deps } from './deps.ts';
import { collectIndexes } from './image-index.ts';
import type { Lookup } from './lookup.ts';
import { familiarKey, repositoryKey, tagKey } from './names.ts';
import { shortId } from './progress.ts';

export type Removed = { untagged: string } | { deleted: string };

const repositoryOf = (tag: string): string => tag.slice(0, tag.lastIndexOf(':'));

/**
 * `docker rmi`: takes a name away, and with the last name the image, its blobs and the layers no other image has. An
 * image that a container uses loses its names under `force` and stays, without a name, as long as the container does.
 */
export async function remove(
  deps: Deps,
  lookup: Lookup,
  nameOrId: string,
  options: { readonly force?: boolean; readonly inUseBy?: (imageId: string) => string | undefined },
): Promise<readonly Removed[]> {
  const { table } = deps;
  const { manifest, reference } = lookup.find(nameOrId);
  const { id } = lookup.image(manifest);
  const container = options.inUseBy?.(id);
  const tags = table.tagsOf(id);
  const seen = table.repoDigestsOf(id);
  const repositories = new Set([...tags.map(repositoryOf), ...seen.map(({ name }) => name)]);

  let dropTags = tags;
  let dropSeen = seen;
  if (reference !== undefined) {
    ({ dropTags, dropSeen } = namesUnder(reference, tags, seen));
    const last = dropTags.length === tags.length && dropSeen.length === seen.length;
    if (last && container !== undefined && !options.force)
      throw new GantryError(
        'conflict',
        `conflict: unable to remove repository reference "${nameOrId}" (must force) - container ${container} is using its referenced image ${shortId(id)}`,
        { code: 'image-in-use' },
      );
  } else {
    const refuse = (how: string, why: string) =>
      new GantryError('conflict', `conflict: unable to delete ${shortId(id)} (${how}) - ${why}`, {
        code: 'image-in-use',
      });
    if (!options.force && (repositories.size > 1 || tags.length > 1))
      throw refuse('must be forced', 'image is referenced in multiple repositories');
    if (container !== undefined && (!options.force || tags.length + seen.length === 0))
      throw refuse(
        options.force ? 'cannot be forced' : 'must be forced',
        `image is being used by container ${container}`,
      );
  }

  const removed: Removed[] = [
    ...dropTags.map((tag) => ({ untagged: familiarKey(tag) })),
    ...dropSeen.map(({ name, digest }) => ({ untagged: `${familiarKey(name)}@${digest}` })),
  ];
  const goes = dropTags.length === tags.length && dropSeen.length === seen.length && container === undefined;
  const documents = goes ? table.manifestsOf(id).map((digest) => ({ digest, document: table.document(digest) })) : [];
  table.transaction(() => {
    for (const tag of dropTags) table.dropTag(tag);
    for (const { name, digest } of dropSeen) table.dropRepoDigest(name, digest);
    for (const { digest } of documents) table.dropManifest(digest);
  });
  await deps.writeIndex();
  const members = await collectIndexes(deps);
  if (!goes) return [...removed, ...(await removeMembers(deps, lookup, members, options.inUseBy))];
  removed.push({ deleted: id });
  for (const { digest, document } of documents) {
    if (document === undefined) continue;
    for (const chainId of await deps.collector.layers(document.chain.map((layer) => layer.chainId)))
      removed.push({ deleted: chainId });
    await deps.collector.blobs([digest, id, ...document.manifest.layers.map((layer) => layer.digest)]);
  }
  return [...removed, ...(await removeMembers(deps, lookup, members, options.inUseBy))];
}

/** What only an index led to that is gone: images for other platforms, without a name of their own. */
async function removeMembers(
  deps: Deps,
  lookup: Lookup,
  manifests: readonly string[],
  inUseBy: ((imageId: string) => string | undefined) | undefined,
): Promise<readonly Removed[]> {
  const removed: Removed[] = [];
  for (const manifest of manifests) {
    if (!deps.table.holdsManifest(manifest) || deps.table.indexes.members().has(manifest)) continue;
    const { id, tags, repoDigests } = lookup.image(manifest);
    if (tags.length + repoDigests.length > 0 || inUseBy?.(id) !== undefined) continue;
    removed.push(...(await remove(deps, lookup, id, inUseBy === undefined ? {} : { inUseBy })));
  }
  return removed;
}

/** The name itself; with the last tag of a repository also what was seen of the image there. */
function namesUnder(
  reference: Reference,
  tags: readonly string[],
  seen: readonly { readonly name: string; readonly digest: string }[],
) {
  const repository = repositoryKey(reference);
  if (reference.digest !== undefined)
    return { dropTags: [], dropSeen: seen.filter((s) => s.name === repository && s.digest === reference.digest) };
  const dropTags = tags.filter((tag) => tag === tagKey(reference));
  const others = tags.some((tag) => repositoryOf(tag) === repository && !dropTags.includes(tag));
  return { dropTags, dropSeen: others ? [] : seen.filter(({ name }) => name === repository) };
}
