import { GantryError } from '#errors/index.ts';
import { familiarReference, isDigest, parseReference, type Reference } from '#oci/index.ts';
import type { ImageTable, SeenDigest } from './image-table.ts';
import type { Image } from './images.ts';
import { familiarKey, repositoryKey, tagKey } from './names.ts';
import type { ShownDocument } from './shown-documents.ts';

const idPattern = /^(?:sha256:)?([0-9a-f]{1,64})$/;

/** Finds images by what people type, and shows them as the contract has them. */
export function createLookup(table: ImageTable) {
  const newest = (configDigest: string | undefined): string | undefined =>
    configDigest === undefined ? undefined : table.manifestsOf(configDigest)[0];

  const byReference = (ref: Reference): string | undefined => {
    if (ref.digest === undefined) return table.tag(tagKey(ref));
    const recorded = table.repoDigest(repositoryKey(ref), ref.digest);
    if (recorded !== undefined) return recorded;
    const tagged = ref.tag === undefined ? undefined : table.tag(tagKey(ref));
    return tagged === ref.digest ? tagged : undefined;
  };

  const byId = (nameOrId: string): string | undefined => {
    if (isDigest(nameOrId)) {
      const ofConfig = newest(nameOrId);
      return ofConfig ?? (table.holdsManifest(nameOrId) ? nameOrId : undefined);
    }
    const hex = idPattern.exec(nameOrId)?.[1];
    const [id, other] = hex === undefined ? [] : table.idsByPrefix(hex);
    if (other !== undefined)
      throw new GantryError('invalid', `image id prefix "${nameOrId}" is ambiguous; give more of it`, {
        code: 'image-ambiguous',
      });
    return newest(id);
  };

  const parsed = (nameOrId: string): Reference | undefined => {
    try {
      return parseReference(nameOrId);
    } catch (error) {
      if (idPattern.test(nameOrId)) return undefined;
      throw error;
    }
  };

  /** The manifest digest a name or id stands for, and the reference where it was one. @throws GantryError not-found, invalid */
  const find = (nameOrId: string): { readonly manifest: string; readonly reference: Reference | undefined } => {
    const ref = isDigest(nameOrId) ? undefined : parsed(nameOrId);
    const named = ref === undefined ? undefined : byReference(ref);
    if (named !== undefined) return { manifest: named, reference: ref };
    const identified = byId(nameOrId);
    if (identified !== undefined) return { manifest: identified, reference: undefined };
    throw new GantryError('not-found', `No such image: ${ref === undefined ? nameOrId : familiarReference(ref)}`, {
      code: 'image-not-found',
    });
  };

  const shown = (digest: string) => {
    const document = table.shown(digest);
    if (document === undefined)
      throw new GantryError('not-found', `No such image: ${digest}`, { code: 'image-not-found' });
    return document;
  };

  const compose = (
    { descriptor, id, config, layers, chainIds }: ShownDocument,
    tags: readonly string[],
    seen: readonly SeenDigest[],
    size: number,
  ): Image => ({
    id,
    manifest: descriptor,
    config,
    layers,
    chainId: chainIds.at(-1),
    tags: tags.map(familiarKey),
    repoDigests: seen.map(({ name, digest }) => `${familiarKey(name)}@${digest}`),
    size,
  });

  const image = (digest: string): Image => {
    const document = shown(digest);
    const { id } = document;
    return compose(document, table.tagsOf(id), table.repoDigestsOf(id), table.unpackedSize(digest));
  };

  return {
    find,
    image,
    resolve: (nameOrId: string): string => find(nameOrId).manifest,
    get: (nameOrId: string): Image => image(find(nameOrId).manifest),
    /**
     * One entry per image id, shown with its newest manifest, in the order the images came; without those for other
     * platforms that only an index leads to.
     */
    list(): readonly Image[] {
      const latest = new Map(table.manifests().map(({ configDigest, digest }) => [configDigest, digest]));
      const [members, sizes] = [table.indexes.members(), table.unpackedSizes()];
      const [tags, seen] = [table.tagsByConfig(), table.repoDigestsByConfig()];
      return [...latest]
        .filter(([id, digest]) => tags.has(id) || !members.has(digest))
        .map(([id, digest]) => compose(shown(digest), tags.get(id) ?? [], seen.get(id) ?? [], sizes.get(digest) ?? 0));
    },
    /** Of each image the bytes of the unpacked layers that others among them have too, by id. */
    sharedSizes(images: readonly Image[]): ReadonlyMap<string, number> {
      const chains = images.map(({ id, manifest }) => ({ id, chainIds: table.shown(manifest.digest)?.chainIds ?? [] }));
      const users = new Map<string, number>();
      for (const { chainIds } of chains) for (const chain of chainIds) users.set(chain, (users.get(chain) ?? 0) + 1);
      const sizes = table.sizesOfLayers();
      const bytesOf = (chain: string) => ((users.get(chain) ?? 0) > 1 ? (sizes.get(chain) ?? 0) : 0);
      return new Map(chains.map(({ id, chainIds }) => [id, chainIds.reduce((sum, chain) => sum + bytesOf(chain), 0)]));
    },
  };
}

export type Lookup = ReturnType<typeof createLookup>;
