import { GantryError } from '#errors/index.ts';
import { familiarReference, isDigest, parseReference, type Reference } from '#oci/index.ts';
import type { ImageTable } from './image-table.ts';
import type { Image } from './images.ts';
import { familiarKey, repositoryKey, tagKey } from './names.ts';

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

  const image = (digest: string): Image => {
    const document = table.document(digest);
    if (document === undefined)
      throw new GantryError('not-found', `No such image: ${digest}`, { code: 'image-not-found' });
    const id = document.manifest.config.digest;
    return {
      id,
      manifest: document.descriptor,
      config: document.config,
      layers: document.manifest.layers,
      chainId: document.chain.at(-1)?.chainId,
      tags: table.tagsOf(id).map(familiarKey),
      repoDigests: table.repoDigestsOf(id).map(({ name, digest: seen }) => `${familiarKey(name)}@${seen}`),
      size: table.unpackedSize(digest),
    };
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
      const members = table.indexes.members();
      return [...latest.values()]
        .map(image)
        .filter(({ tags, manifest }) => tags.length > 0 || !members.has(manifest.digest));
    },
  };
}

export type Lookup = ReturnType<typeof createLookup>;
