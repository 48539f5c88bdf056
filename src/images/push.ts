import type { Credentials } from '#distribution/index.ts';
import { GantryError } from '#errors/index.ts';
import { canonicalReference, type Descriptor, familiarReference, parseReference } from '#oci/index.ts';
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

/** Sends a tagged image: layers in parallel where the registry lacks them, config, then the manifest byte for byte. */
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
  const { digest } = image.descriptor;
  await using work = await deps.begin([
    digest,
    image.manifest.config.digest,
    ...image.manifest.layers.map((l) => l.digest),
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
  const layers = new Map(image.chain.map((layer) => [layer.descriptor.digest, layer]));
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
  await send(image.manifest.config);
  await registry.putManifest(ref, { mediaType: image.descriptor.mediaType, bytes: image.manifestBytes }, request);
  table.putRepoDigest(repositoryKey(ref), digest, digest);
  const { size } = image.descriptor;
  options.onProgress?.({ status: `${ref.tag ?? 'latest'}: digest: ${digest} size: ${size}` });
  return { digest, size };
}
