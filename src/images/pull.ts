import type { Credentials, FetchedManifest, RequestOptions } from '#distribution/index.ts';
import { GantryError } from '#errors/index.ts';
import {
  type Descriptor,
  familiarName,
  familiarReference,
  type Platform,
  parseReference,
  type Reference,
} from '#oci/index.ts';
import type { Deps } from './deps.ts';
import { downloadBlob } from './download.ts';
import { type ImageDocument, imageDocument, matches } from './image-document.ts';
import type { OnProgress } from './images.ts';
import { parseManifestDocument } from './manifest-document.ts';
import { repositoryKey, tagKey } from './names.ts';
import { checkPlatform, choosePlatform, hostPlatform } from './platform.ts';
import { layerProgress } from './progress.ts';

export interface PullOptions {
  readonly credentials?: Credentials | undefined;
  readonly platform?: Platform;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

const largestConfig = 8 << 20;
const deepestIndex = 3;

/** A small blob whole, verified. */
async function fetchConfig(
  deps: Deps,
  ref: Reference,
  descriptor: Descriptor,
  request: RequestOptions,
): Promise<Buffer> {
  if ((await deps.content.stat(descriptor.digest)) !== undefined) return await deps.content.read(descriptor.digest);
  if (descriptor.size > largestConfig)
    throw new GantryError(
      'exhausted',
      `the config ${descriptor.digest} has ${descriptor.size} bytes; at most ${largestConfig} are read`,
    );
  const bytes = Buffer.concat(await Array.fromAsync(downloadBlob(deps.registry, ref, descriptor, request)));
  if (matches(bytes, descriptor)) return bytes;
  throw new GantryError('corrupt', `${ref.registry} sent a config that does not match ${descriptor.digest}`, {
    code: 'digest-mismatch',
  });
}

/** Follows indexes down to the manifest for a platform. */
async function resolveManifest(
  deps: Deps,
  ref: Reference,
  first: FetchedManifest,
  wanted: Platform,
  request: RequestOptions,
): Promise<FetchedManifest> {
  const what = familiarReference(ref);
  let fetched = first;
  for (let depth = 0; ; depth++) {
    const document = parseManifestDocument(fetched.bytes, fetched.mediaType, what);
    if (document.kind === 'manifest') return { ...fetched, mediaType: document.mediaType };
    if (depth === deepestIndex) throw new GantryError('unsupported', `${what} nests more than ${deepestIndex} indexes`);
    const { digest, mediaType, size } = choosePlatform(document.index.manifests, wanted, what);
    const held = deps.table.document(digest);
    if (held !== undefined)
      return { mediaType: held.descriptor.mediaType, digest, bytes: Buffer.from(held.manifestBytes) };
    const { tag: _tag, ...repository } = ref;
    fetched = await deps.registry.getManifest({ ...repository, digest }, request);
    if (fetched.bytes.length !== size)
      throw new GantryError(
        'corrupt',
        `${what}: the manifest ${digest} has ${fetched.bytes.length} bytes, its index says ${size}`,
        {
          code: 'size-mismatch',
        },
      );
    if (fetched.mediaType === '') fetched = { ...fetched, mediaType };
  }
}

/**
 * Brings an image here: manifest, config, then every layer verified, unpacked and durable, and only then its name.
 * Resolves with the manifest's digest. A pull that fails or is cancelled leaves nothing of its own
 * behind but the beginning of a large layer, from which the next one goes on (partial-download.ts).
 */
export async function pull(deps: Deps, reference: string, options: PullOptions): Promise<string> {
  const { registry, table } = deps;
  const ref = parseReference(reference);
  const what = familiarReference(ref);
  const request: RequestOptions = { credentials: options.credentials, signal: options.signal };
  options.onProgress?.({ id: ref.digest ?? ref.tag ?? 'latest', status: `Pulling from ${ref.repository}` });
  const top = await registry.getManifest(ref, request);
  const found = await resolveManifest(deps, ref, top, options.platform ?? hostPlatform(), request);
  const parsed = parseManifestDocument(found.bytes, found.mediaType, what);
  if (parsed.kind === 'index') throw new GantryError('internal', `${what} resolved to an index`);

  await using work = await deps.begin([
    found.digest,
    parsed.manifest.config.digest,
    ...parsed.manifest.layers.map((l) => l.digest),
  ]);
  const configBytes = await fetchConfig(deps, ref, parsed.manifest.config, request);
  const image = imageDocument(found, configBytes, what);
  checkPlatform(image.config, options.platform, what);
  await work.holdLayers(image.chain);
  await deps.layers.ensure(image.chain, {
    fetch: (descriptor, signal, start, passMirrors) =>
      downloadBlob(registry, ref, descriptor, { ...request, signal, start, passMirrors }),
    mayTryElsewhere: registry.hasMirrors(ref.registry),
    progressOf: ({ descriptor }) => layerProgress(options.onProgress, descriptor.digest),
    signal: options.signal,
  });
  await deps.keepDocuments(image, options.signal);

  const repository = repositoryKey(ref);
  const isNew =
    ref.digest === undefined
      ? table.tag(tagKey(ref)) !== image.descriptor.digest
      : table.repoDigest(repository, top.digest) === undefined;
  table.transaction(() => {
    table.putManifest(image);
    table.putRepoDigest(repository, top.digest, image.descriptor.digest);
    if (ref.digest === undefined) table.putTag(tagKey(ref), image.descriptor.digest);
    for (const digest of blobsOf(image)) table.putSource(digest, ref.registry, ref.repository);
  });
  work.keep();
  await deps.writeIndex();
  options.onProgress?.({ status: `Digest: ${top.digest}` });
  if (top.rateLimit !== undefined) {
    const { limit, remaining, windowSeconds } = top.rateLimit;
    options.onProgress?.({ status: `Rate limit: ${remaining} of ${limit} pulls left in ${windowSeconds} s` });
  }
  const shown = ref.digest === undefined ? what : `${familiarName(ref)}@${ref.digest}`;
  options.onProgress?.({ status: `Status: ${isNew ? 'Downloaded newer image' : 'Image is up to date'} for ${shown}` });
  return image.descriptor.digest;
}

/** The digests of an image's config and layers. */
export const blobsOf = ({ manifest }: ImageDocument): readonly string[] => [
  manifest.config.digest,
  ...manifest.layers.map((layer) => layer.digest),
];
