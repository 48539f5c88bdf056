import { createHash } from 'node:crypto';
import { type Descriptor, digestOf, mediaTypes } from '#oci/index.ts';
import { canonicalJson } from './canonical-json.ts';
import type { Deps } from './deps.ts';
import { gzipMembers } from './gzip-members.ts';
import { type ImageDocument, imageDocument } from './image-document.ts';
import type { StoredLayer } from './images.ts';
import type { LayerProgress } from './progress.ts';

const ociTypes: Readonly<Record<string, string>> = {
  [mediaTypes.dockerLayerGzip]: mediaTypes.ociLayerGzip,
  [mediaTypes.dockerLayer]: mediaTypes.ociLayer,
  'application/vnd.docker.image.rootfs.diff.tar.zstd': mediaTypes.ociLayerZstd,
};

/** A manifest for a config and its layers: canonical JSON, OCI media types, so that equal images have equal digests. */
export function composeImage(configBytes: Uint8Array, layers: readonly Descriptor[], what: string): ImageDocument {
  const manifestBytes = canonicalJson({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: digestOf(configBytes), size: configBytes.length },
    layers: layers.map(({ mediaType, digest, size }) => ({
      mediaType: ociTypes[mediaType] ?? mediaType,
      digest,
      size,
    })),
  });
  return imageDocument({ bytes: manifestBytes, mediaType: mediaTypes.ociManifest }, configBytes, what);
}

/** Compresses a layer tar into the content store. The blob is held until `release`. */
export async function storeLayer(
  deps: Deps,
  tar: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<{ readonly layer: StoredLayer; readonly release: () => void }> {
  const hash = createHash('sha256');
  const hashed = (async function* () {
    for await (const chunk of tar) {
      hash.update(chunk);
      yield chunk;
    }
  })();
  return await deps.collector.withUnnamedBlob(async () => {
    const blob = await deps.content.ingest(gzipMembers(hashed), {}, signal === undefined ? {} : { signal });
    const release = await deps.leases.hold([blob.digest]);
    const diffId = `sha256:${hash.digest('hex')}`;
    deps.table.putDiffId(blob.digest, diffId);
    return { layer: { descriptor: { mediaType: mediaTypes.ociLayerGzip, ...blob }, diffId }, release };
  });
}

/** Unpacks what is missing of an image whose blobs are here, then gives it its names. Resolves with the manifest's digest. */
export async function keepImage(
  deps: Deps,
  image: ImageDocument,
  tags: readonly string[],
  options: { readonly signal?: AbortSignal | undefined; readonly progressOf?: (digest: string) => LayerProgress } = {},
): Promise<string> {
  const { digest } = image.descriptor;
  const { progressOf } = options;
  await using work = await deps.begin([
    digest,
    image.manifest.config.digest,
    ...image.manifest.layers.map((l) => l.digest),
  ]);
  await work.holdLayers(image.chain);
  await deps.layers.ensure(image.chain, {
    signal: options.signal,
    ...(progressOf === undefined ? {} : { progressOf: (layer) => progressOf(layer.descriptor.digest) }),
  });
  await deps.keepDocuments(image, options.signal);
  deps.table.transaction(() => {
    deps.table.putManifest(image);
    for (const tag of tags) deps.table.putTag(tag, digest);
  });
  work.keep();
  await deps.writeIndex();
  return digest;
}
