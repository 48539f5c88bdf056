import { GantryError } from '#errors/index.ts';
import {
  type Descriptor,
  type ImageIndex,
  type ImageManifest,
  isDigest,
  isIndexType,
  isManifestType,
  mediaTypes,
} from '#oci/index.ts';

export type ManifestDocument =
  | { readonly kind: 'manifest'; readonly mediaType: string; readonly manifest: ImageManifest }
  | { readonly kind: 'index'; readonly mediaType: string; readonly index: ImageIndex };

/** The kernel stacks this many lower directories at most, and Docker refuses more. */
const maximumLayers = 127;
const configTypes: ReadonlySet<string> = new Set([
  mediaTypes.ociConfig,
  mediaTypes.dockerConfig,
  'application/octet-stream', // written by Docker 1.10
]);
const layerTypes: ReadonlySet<string> = new Set([
  mediaTypes.ociLayer,
  mediaTypes.ociLayerGzip,
  mediaTypes.ociLayerZstd,
  mediaTypes.dockerLayer,
  mediaTypes.dockerLayerGzip,
  'application/vnd.docker.image.rootfs.diff.tar.zstd',
]);

const corrupt = (what: string, why: string) =>
  new GantryError('corrupt', `the manifest of ${what} is not valid: ${why}`, { code: 'manifest-invalid' });

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Parses bytes as one JSON object. @throws GantryError corrupt, naming `what`. */
export function parseJsonObject(bytes: Uint8Array, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new GantryError('corrupt', `${what} is not JSON`, { code: 'not-json', cause });
  }
  if (!isObject(value)) throw new GantryError('corrupt', `${what} is not a JSON object`, { code: 'not-json' });
  return value;
}

/** Checks a descriptor (image-spec: descriptor.md). @throws GantryError corrupt */
export function parseDescriptor(value: unknown, what: string): Descriptor {
  if (!isObject(value)) throw corrupt(what, 'a descriptor is missing');
  const { mediaType, digest, size, platform } = value;
  if (typeof mediaType !== 'string') throw corrupt(what, 'a descriptor has no mediaType');
  if (typeof digest !== 'string' || !isDigest(digest)) throw corrupt(what, `"${String(digest)}" is not a digest`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw corrupt(what, `${digest} has the size "${String(size)}"`);
  if (
    platform !== undefined &&
    (!isObject(platform) || typeof platform.architecture !== 'string' || typeof platform.os !== 'string')
  )
    throw corrupt(what, `${digest} has a platform without architecture or os`);
  return value as unknown as Descriptor;
}

const parseDescriptors = (value: unknown, field: string, what: string): readonly Descriptor[] => {
  if (!Array.isArray(value)) throw corrupt(what, `"${field}" is not a list`);
  return value.map((one) => parseDescriptor(one, what));
};

/**
 * Reads an image manifest or index, OCI or Docker v2 schema 2. `declared` is the media type its sender gave; it and the
 * document's own must agree, and a document that could be read as both kinds is refused (CVE-2021-41190).
 * @throws GantryError corrupt; unsupported for schema 1, artifacts and layers kept elsewhere
 */
export function parseManifestDocument(bytes: Uint8Array, declared: string, what: string): ManifestDocument {
  const document = parseJsonObject(bytes, `the manifest of ${what}`);
  if (document.schemaVersion === 1 || declared.startsWith('application/vnd.docker.distribution.manifest.v1+'))
    throw new GantryError(
      'unsupported',
      `${what} is a schema 1 image, which was withdrawn because its layers cannot be verified; ask its publisher to push it with Docker 1.10 or newer`,
      { code: 'schema-1' },
    );
  if (document.schemaVersion !== 2) throw corrupt(what, `schemaVersion is ${JSON.stringify(document.schemaVersion)}`);
  const own = document.mediaType;
  if (own !== undefined && typeof own !== 'string') throw corrupt(what, 'mediaType is not a string');
  const known = (type: string | undefined): type is string =>
    type !== undefined && (isIndexType(type) || isManifestType(type));
  if (known(declared) && own !== undefined && own !== declared)
    throw corrupt(what, `it was sent as ${declared} and says it is ${own}`);
  const hasManifests = document.manifests !== undefined;
  if (hasManifests && (document.layers !== undefined || document.config !== undefined))
    throw corrupt(what, 'it could be read both as an index and as a manifest');
  const mediaType = known(own) ? own : known(declared) ? declared : undefined;
  if (mediaType === undefined && own !== undefined)
    throw new GantryError('unsupported', `${what} is of type ${own}, which is no image`, { code: 'not-an-image' });
  if (mediaType !== undefined && isIndexType(mediaType) !== hasManifests)
    throw corrupt(what, `it says it is ${mediaType} and is not one`);
  if (hasManifests) {
    const manifests = parseDescriptors(document.manifests, 'manifests', what);
    return {
      kind: 'index',
      mediaType: mediaType ?? mediaTypes.ociIndex,
      index: { ...document, schemaVersion: 2, manifests },
    };
  }
  const config = parseDescriptor(document.config, what);
  if (!configTypes.has(config.mediaType))
    throw new GantryError(
      'unsupported',
      `${what} is an artifact whose config is ${config.mediaType}, not a container image; it cannot be run`,
      { code: 'not-an-image' },
    );
  const layers = parseDescriptors(document.layers, 'layers', what);
  if (layers.length > maximumLayers)
    throw new GantryError(
      'unsupported',
      `${what} has ${layers.length} layers; ${maximumLayers} is the most a mount takes`,
    );
  for (const layer of layers)
    if (!layerTypes.has(layer.mediaType))
      throw new GantryError('unsupported', `${what} has a layer ${layer.digest} of type ${layer.mediaType}`, {
        code: 'layer-type',
      });
  return {
    kind: 'manifest',
    mediaType: mediaType ?? mediaTypes.ociManifest,
    manifest: { ...document, schemaVersion: 2, config, layers },
  };
}
