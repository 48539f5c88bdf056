import { GantryError } from '#errors/index.ts';
import { type Descriptor, digestOf, type ImageIndex, mediaTypes } from '#oci/index.ts';
import { canonicalJson } from './canonical-json.ts';
import type { Deps } from './deps.ts';
import type { Attestation, NewIndex } from './images.ts';
import { tagKey, tagReference } from './names.ts';

/** The type of an in-toto statement as a layer (BuildKit: attestation-storage.md). */
const statementType = 'application/vnd.in-toto+json';

interface Stored {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

const stored = (mediaType: string, bytes: Uint8Array): Stored => ({
  descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length },
  bytes,
});

/**
 * Makes an index of images that are held here, with attestations of each as a manifest of its own, and gives it to tags;
 * each tag names the first image too, which is what is used here. (image-spec: image-index.md; attestations as BuildKit
 * stores them, so that what reads its indexes reads these.)
 * @throws GantryError not-found where an image is not held
 */
export async function createIndex(
  deps: Deps,
  { images, references }: NewIndex,
  signal: AbortSignal | undefined,
): Promise<Descriptor> {
  const { table, content } = deps;
  const tags = references.map((reference) => tagKey(tagReference(reference)));
  const members: Descriptor[] = [];
  const attestations: Descriptor[] = [];
  const blobs: Stored[] = [];
  for (const { manifest, attestations: statements } of images) {
    const document = table.document(manifest);
    if (document === undefined)
      throw new GantryError('not-found', `No such image: ${manifest}`, { code: 'image-not-found' });
    const { os, architecture, variant } = document.config;
    const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) };
    members.push({ ...document.descriptor, platform });
    if (statements.length === 0) continue;
    const made = attestationManifest(statements);
    blobs.push(...made.parts, made.manifest);
    attestations.push({
      ...made.manifest.descriptor,
      platform: { os: 'unknown', architecture: 'unknown' },
      annotations: { 'vnd.docker.reference.digest': manifest, 'vnd.docker.reference.type': 'attestation-manifest' },
    });
  }
  const index: ImageIndex = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [...members, ...attestations],
  };
  const top = stored(mediaTypes.ociIndex, canonicalJson(index));
  await using work = await deps.begin([...blobs, top].map(({ descriptor }) => descriptor.digest));
  for (const { descriptor, bytes } of [...blobs, top])
    await content.ingest(one(bytes), descriptor, signal === undefined ? {} : { signal });
  const [first] = images;
  table.transaction(() => {
    table.indexes.put(top.descriptor.digest, top.bytes, {
      images: members.map(({ digest }) => digest),
      blobs: blobs.map(({ descriptor }) => descriptor.digest),
    });
    for (const tag of tags) {
      if (first !== undefined) table.putTag(tag, first.manifest);
      table.indexes.putTag(tag, top.descriptor.digest);
    }
  });
  work.keep();
  await collectIndexes(deps);
  await deps.writeIndex();
  return top.descriptor;
}

/** Statements as the layers of a manifest whose config says that it is for no platform. */
function attestationManifest(statements: readonly Attestation[]): { manifest: Stored; parts: readonly Stored[] } {
  const layers = statements.map(({ predicateType, statement }) => ({
    ...stored(statementType, statement),
    predicateType,
  }));
  const config = stored(
    mediaTypes.ociConfig,
    canonicalJson({
      architecture: 'unknown',
      os: 'unknown',
      config: {},
      rootfs: { type: 'layers', diff_ids: layers.map(({ descriptor }) => descriptor.digest) },
    }),
  );
  const manifest = stored(
    mediaTypes.ociManifest,
    canonicalJson({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: config.descriptor,
      layers: layers.map(({ descriptor, predicateType }) => ({
        ...descriptor,
        annotations: { 'in-toto.io/predicate-type': predicateType },
      })),
    }),
  );
  return { manifest, parts: [...layers, config] };
}

/** Takes indexes away that no tag stands for any more, with their attestations. @returns the images they led to */
export async function collectIndexes({
  table,
  collector,
}: Pick<Deps, 'table' | 'collector'>): Promise<readonly string[]> {
  const gone = table.transaction(() => table.indexes.dropOrphans());
  for (const { digest, blobs } of gone) await collector.blobs([digest, ...blobs]);
  return gone.flatMap(({ images }) => images);
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
