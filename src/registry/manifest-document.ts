import { GantryError, messageOf } from '#errors/index.ts';
import { isDigest, isIndexType, isManifestType, mediaTypes } from '#oci/index.ts';

/** What a manifest names: another manifest in the repository, or a blob. */
export interface ManifestPart {
  readonly kind: 'blob' | 'manifest';
  readonly digest: string;
  readonly size: number;
}

/** The facts of a manifest or an index that a registry needs (image-spec: manifest.md, image-index.md). */
export interface ManifestDocument {
  readonly mediaType: string;
  readonly parts: readonly ManifestPart[];
  readonly subject: string | undefined;
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

/** The largest manifest taken, in bytes (distribution-spec: pushing manifests asks for at least this). */
export const manifestLimit = 4 << 20;

/**
 * Reads and checks a pushed manifest. Of a media type that is not one of the four known ones, what looks like a
 * manifest's or an index's parts counts as such. A type that a browser would show as a page is refused.
 * @throws GantryError invalid (code `manifest-invalid`), naming what is wrong
 */
export function readManifest(contentType: string | undefined, bytes: Uint8Array): ManifestDocument {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw invalid(`is not JSON: ${messageOf(error)}`);
  }
  if (!isObject(document)) throw invalid('is not a JSON object');
  if (document.schemaVersion !== 2) throw invalid(`has schemaVersion ${show(document.schemaVersion)}, not 2`);
  const inside = optionalText(document, 'mediaType');
  const outside = contentType?.split(';')[0]?.trim();
  if (inside !== undefined && outside !== undefined && inside !== outside)
    throw invalid(`was sent as ${outside} and says that it is ${inside}`);
  const mediaType = inside ?? outside;
  if (mediaType === undefined) throw invalid('says nowhere which media type it has');
  const annotations = annotationsOf(document);
  const subject = document.subject === undefined ? undefined : descriptorOf(document.subject, 'subject').digest;
  const common = { mediaType, subject, annotations };

  if (isIndexType(mediaType)) {
    // A document that could be read as both is a trap (CVE-2021-41190).
    if (document.layers !== undefined || document.config !== undefined)
      throw invalid('is an index and has layers or a config');
    const parts = listOf(document, 'manifests').map((entry, i): ManifestPart => {
      const { digest, size } = descriptorOf(entry, `manifests[${i}]`);
      return { kind: 'manifest', digest, size };
    });
    return { ...common, parts, artifactType: optionalText(document, 'artifactType') };
  }
  if (isManifestType(mediaType)) {
    if (document.manifests !== undefined) throw invalid('is an image manifest and has manifests');
    const config = descriptorOf(document.config, 'config');
    const layers = listOf(document, 'layers').map((entry, i) => descriptorOf(entry, `layers[${i}]`));
    const parts = [config, ...layers.filter((layer) => !isForeign(layer))].map(
      ({ digest, size }): ManifestPart => ({ kind: 'blob', digest, size }),
    );
    return { ...common, parts, artifactType: optionalText(document, 'artifactType') ?? config.mediaType };
  }
  if (!/^application\/[a-z0-9][a-z0-9!#$&^_.-]{0,126}\+json$/i.test(mediaType))
    throw invalid(
      `has the media type ${show(mediaType)}; this hub takes ${mediaTypes.ociManifest}, ${mediaTypes.ociIndex}, their Docker twins, and other application/…+json`,
    );
  const several = (key: string, kind: ManifestPart['kind']): readonly ManifestPart[] =>
    document[key] === undefined
      ? []
      : listOf(document, key).map((entry, i) => ({ kind, ...partOf(descriptorOf(entry, `${key}[${i}]`)) }));
  const config =
    document.config === undefined
      ? []
      : [{ kind: 'blob' as const, ...partOf(descriptorOf(document.config, 'config')) }];
  const parts = [
    ...config,
    ...several('layers', 'blob'),
    ...several('blobs', 'blob'),
    ...several('manifests', 'manifest'),
  ];
  return { ...common, parts, artifactType: optionalText(document, 'artifactType') };
}

const partOf = ({ digest, size }: CheckedDescriptor) => ({ digest, size });

interface CheckedDescriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly urls: boolean;
}

/** Layers that their makers forbid to pass on are fetched from elsewhere (image-spec: layer.md#non-distributable-layers). */
const isForeign = ({ urls, mediaType }: CheckedDescriptor): boolean =>
  urls && /nondistributable|\.foreign\./.test(mediaType);

function descriptorOf(value: unknown, where: string): CheckedDescriptor {
  if (!isObject(value)) throw invalid(`has no descriptor in ${where}`);
  const { mediaType, digest, size, urls } = value;
  if (typeof mediaType !== 'string' || mediaType === '') throw invalid(`has no mediaType in ${where}`);
  if (typeof digest !== 'string' || !isDigest(digest)) throw invalid(`has no good digest in ${where}: ${show(digest)}`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw invalid(`has no good size in ${where}: ${show(size)}`);
  return { mediaType, digest, size, urls: Array.isArray(urls) && urls.length > 0 };
}

function annotationsOf(document: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> | undefined {
  const { annotations } = document;
  if (annotations === undefined || annotations === null) return undefined;
  if (!isObject(annotations)) throw invalid('has annotations that are not an object');
  for (const [key, value] of Object.entries(annotations))
    if (typeof value !== 'string') throw invalid(`has an annotation ${show(key)} that is not a string`);
  return annotations as Readonly<Record<string, string>>;
}

function listOf(document: Readonly<Record<string, unknown>>, key: string): readonly unknown[] {
  const value = document[key];
  if (!Array.isArray(value)) throw invalid(`has no list ${key}`);
  return value;
}

function optionalText(document: Readonly<Record<string, unknown>>, key: string): string | undefined {
  const value = document[key];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') throw invalid(`has a ${key} that is not a string`);
  return value;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const show = (value: unknown): string => JSON.stringify(value)?.slice(0, 100) ?? 'undefined';
const invalid = (what: string) => new GantryError('invalid', `the manifest ${what}`, { code: 'manifest-invalid' });
