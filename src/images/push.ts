import type { Credentials } from '#distribution/index.ts';
import { GantryError } from '#errors/index.ts';
import {
  canonicalReference,
  type Descriptor,
  familiarReference,
  type ImageIndex,
  type ImageManifest,
  parseReference,
  type Reference,
} from '#oci/index.ts';
import type { Deps } from './deps.ts';
import type { OnProgress } from './images.ts';
import { repositoryKey, tagKey } from './names.ts';
import { layerProgress } from './progress.ts';
import { createTurns } from './turns.ts';

export interface PushOptions {
  readonly credentials?: Credentials | undefined;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

const uploadsAtOnce = 3;
/** A mount is tried from this many repositories; each miss costs a request. */
const mountSources = 2;

/**
 * Sends a tagged image: layers in parallel where the registry lacks them, config, then the manifest byte for byte. Of an
 * index, all it leads to comes first.
 */
export async function push(
  deps: Deps,
  reference: string,
  options: PushOptions,
): Promise<{ digest: string; size: number }> {
  const { content, registry, table } = deps;
  const ref = parseReference(reference);
  if (ref.digest !== undefined)
    throw new GantryError('invalid', `cannot push a digest reference: "${reference}"; tag the image and push the tag`);
  const repository = canonicalReference({ registry: ref.registry, repository: ref.repository });
  options.onProgress?.({ status: `The push refers to repository [${repository}]` });
  const held = table.tag(tagKey(ref));
  const image = held === undefined ? undefined : table.document(held);
  if (image === undefined)
    throw new GantryError('not-found', `An image does not exist locally with the tag: ${familiarReference(ref)}`, {
      code: 'image-not-found',
    });
  const index = table.indexes.ofTag(tagKey(ref));
  // A document is read again below: what an index leads to is held from here on.
  const images = index === undefined ? [image] : index.parts.images.flatMap((member) => table.document(member) ?? []);
  await using work = await deps.begin([
    ...images.flatMap(({ descriptor, manifest }) => [
      descriptor.digest,
      manifest.config.digest,
      ...manifest.layers.map((l) => l.digest),
    ]),
    ...(index === undefined ? [] : [index.descriptor.digest, ...index.parts.blobs]),
  ]);
  work.keep();

  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const request = { credentials: options.credentials, signal };
  const send = async ({ digest, size }: Descriptor, onProgress?: (bytes: number) => void) => {
    if ((await content.stat(digest)) === undefined)
      throw new GantryError(
        'corrupt',
        `the blob ${digest} of ${familiarReference(ref)} is not in the content store; pull or build the image again`,
        {
          code: 'layer-missing',
        },
      );
    const mountFrom = table
      .sourcesOf(digest, ref.registry)
      .filter((name) => name !== ref.repository)
      .slice(0, mountSources);
    const result = await registry.putBlob(
      ref,
      { digest, size, open: (range) => content.open(digest, range) },
      { ...request, mountFrom, ...(onProgress === undefined ? {} : { onProgress }) },
    );
    table.putSource(digest, ref.registry, ref.repository);
    return result;
  };

  const turns = createTurns(uploadsAtOnce);
  const layers = new Map(
    images.flatMap(({ chain }) => chain.map((layer) => [layer.descriptor.digest, layer] as const)),
  );
  const reasons: unknown[] = [];
  const uploads = [...layers.values()].map(async ({ descriptor, diffId }) => {
    const progress = layerProgress(options.onProgress, diffId);
    progress.say('Preparing');
    const leave = await turns.enter(signal);
    try {
      const result = await send(descriptor, (bytes) => progress.count('Pushing', bytes, descriptor.size));
      if (result.how === 'existed') progress.say('Layer already exists');
      else progress.say(result.how === 'mounted' ? `Mounted from ${result.from ?? 'another repository'}` : 'Pushed');
    } finally {
      leave();
    }
  });
  await Promise.all(
    uploads.map((upload) =>
      upload.catch((error: unknown) => {
        reasons.push(error);
        stop.abort(error);
      }),
    ),
  );
  if (reasons.length > 0) throw reasons[0];
  for (const { manifest } of images) await send(manifest.config);
  const { tag: _tag, ...bare } = ref;
  const put = async (target: Reference, { mediaType }: Descriptor, bytes: Uint8Array) => {
    await registry.putManifest(target, { mediaType, bytes }, request);
  };
  if (index !== undefined) {
    for (const { descriptor, manifestBytes } of images)
      await put({ ...bare, digest: descriptor.digest }, descriptor, manifestBytes);
    for (const attestation of await attestationsOf(deps, index.bytes)) {
      for (const blob of [...attestation.manifest.layers, attestation.manifest.config]) await send(blob);
      await put({ ...bare, digest: attestation.descriptor.digest }, attestation.descriptor, attestation.bytes);
    }
  }
  const top = index ?? { descriptor: image.descriptor, bytes: image.manifestBytes };
  const { digest, size } = top.descriptor;
  await put(ref, top.descriptor, top.bytes);
  table.putRepoDigest(repositoryKey(ref), digest, image.descriptor.digest);
  options.onProgress?.({ status: `${ref.tag ?? 'latest'}: digest: ${digest} size: ${size}` });
  return { digest, size };
}

/** The manifests of an index that are no images. Their layers are small: statements. */
async function attestationsOf({ content }: Deps, index: Uint8Array) {
  const { manifests } = JSON.parse(Buffer.from(index).toString('utf8')) as ImageIndex;
  const attestations = manifests.filter(({ platform }) => platform?.architecture === 'unknown');
  return await Promise.all(
    attestations.map(async (descriptor) => {
      const bytes = await content.read(descriptor.digest);
      return { descriptor, bytes, manifest: JSON.parse(bytes.toString('utf8')) as ImageManifest };
    }),
  );
}
