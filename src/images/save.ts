import { Readable } from 'node:stream';
import { GantryError, throwIfAborted } from '#errors/index.ts';
import { type Descriptor, isDigest, mediaTypes, parseDigest } from '#oci/index.ts';
import { packEntries, type TarSource } from '#tar/index.ts';
import { canonicalJson } from './canonical-json.ts';
import type { Deps } from './deps.ts';
import type { ImageDocument } from './image-document.ts';
import type { Lookup } from './lookup.ts';
import { familiarKey, tagKey } from './names.ts';

const blobPath = (digest: string): string => {
  const { algorithm, hex } = parseDigest(digest);
  return `blobs/${algorithm}/${hex}`;
};

const file = (name: string, body: Uint8Array): TarSource => ({ header: { name, type: 'file' }, body });

/** A docker-archive that is an OCI layout as well. Equal images give equal bytes. */
export async function save(
  deps: Deps,
  lookup: Lookup,
  names: readonly string[],
  options: { readonly signal?: AbortSignal },
): Promise<Readable> {
  const chosen = new Map<string, { readonly image: ImageDocument; readonly tags: Set<string> }>();
  for (const name of names) {
    const { manifest, reference } = lookup.find(name);
    const image = deps.table.document(manifest);
    if (image === undefined) throw new GantryError('not-found', `No such image: ${name}`, { code: 'image-not-found' });
    const entry = chosen.get(manifest) ?? { image, tags: new Set<string>() };
    if (reference !== undefined && reference.digest === undefined) entry.tags.add(tagKey(reference));
    chosen.set(manifest, entry);
  }
  if (chosen.size === 0) throw new GantryError('invalid', 'name at least one image to save');
  return Readable.from(packEntries(entriesOf(deps, [...chosen.values()], options.signal)), { objectMode: false });
}

async function* entriesOf(
  deps: Deps,
  images: readonly { readonly image: ImageDocument; readonly tags: ReadonlySet<string> }[],
  signal: AbortSignal | undefined,
): AsyncGenerator<TarSource> {
  const blobs = new Map<string, Pick<Descriptor, 'digest' | 'size'>>();
  const addImage = (image: ImageDocument) => {
    for (const blob of [image.descriptor, image.manifest.config, ...image.manifest.layers])
      blobs.set(blob.digest, blob);
  };
  const indexOf = (tag: string) => deps.table.indexes.ofTag(tag);
  for (const { image, tags } of images) {
    addImage(image);
    for (const index of [...tags].flatMap((tag) => indexOf(tag) ?? [])) {
      blobs.set(index.descriptor.digest, index.descriptor);
      for (const member of index.parts.images.flatMap((digest) => deps.table.document(digest) ?? [])) addImage(member);
      for (const digest of index.parts.blobs)
        blobs.set(digest, { digest, size: (await deps.content.stat(digest))?.size ?? 0 });
    }
  }
  await using work = await deps.begin([...blobs.keys()]);
  work.keep();
  const algorithms = new Set([...blobs.keys()].filter(isDigest).map((digest) => parseDigest(digest).algorithm));
  for (const name of ['blobs/', ...[...algorithms].map((algorithm) => `blobs/${algorithm}/`)])
    yield { header: { name, type: 'directory' } };
  for (const { digest, size } of [...blobs.values()].toSorted((a, b) => (a.digest < b.digest ? -1 : 1))) {
    throwIfAborted(signal);
    const body = await deps.content.open(digest, signal === undefined ? {} : { signal });
    yield { header: { name: blobPath(digest), type: 'file', size }, body };
  }

  const manifests = images.flatMap(({ image, tags }) =>
    tags.size === 0
      ? [image.descriptor]
      : [...tags].map((tag) => ({
          ...(indexOf(tag)?.descriptor ?? image.descriptor),
          annotations: {
            'io.containerd.image.name': tag,
            'org.opencontainers.image.ref.name': tag.slice(tag.lastIndexOf(':') + 1),
          },
        })),
  );
  yield file('index.json', canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }));
  yield file(
    'manifest.json',
    canonicalJson(
      images.map(({ image, tags }) => ({
        Config: blobPath(image.manifest.config.digest),
        RepoTags: tags.size === 0 ? null : [...tags].map(familiarKey),
        Layers: image.manifest.layers.map(({ digest }) => blobPath(digest)),
      })),
    ),
  );
  yield file('oci-layout', canonicalJson({ imageLayoutVersion: '1.0.0' }));
}
