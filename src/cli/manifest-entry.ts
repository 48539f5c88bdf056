import { GantryError } from '#errors/index.ts';
import { isManifestType, mediaTypes, type Platform } from '#oci/index.ts';
import { indentJson } from './indent-json.ts';

/** A platform with what Docker's lists have besides. */
export interface ListedPlatform extends Platform {
  readonly 'os.features'?: readonly string[];
}

/** One image's manifest in a local list: Docker's client keeps the same (its `ImageManifest`). */
export interface ManifestEntry {
  /** Where it was read. */
  readonly ref: string;
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform: ListedPlatform | undefined;
  /** The manifest, byte for byte. */
  readonly raw: Buffer;
}

const documentKey = (mediaType: string) =>
  mediaType === mediaTypes.dockerManifest ? 'SchemaV2Manifest' : 'OCIManifest';

/** Keys as Go writes them, so that both clients make the same list of the same entries. */
const ordered = (platform: ListedPlatform): ListedPlatform => ({
  architecture: platform.architecture,
  os: platform.os,
  ...(platform['os.version'] ? { 'os.version': platform['os.version'] } : {}),
  ...(platform['os.features']?.length ? { 'os.features': platform['os.features'] } : {}),
  ...(platform.variant ? { variant: platform.variant } : {}),
});

/** The entry as JSON; the manifest in it as it came. */
export function entryText({ ref, mediaType, digest, size, platform, raw }: ManifestEntry): string {
  const descriptor = { mediaType, digest, size, ...(platform === undefined ? {} : { platform: ordered(platform) }) };
  const parts = { Ref: ref, Descriptor: descriptor, Raw: raw.toString('base64') };
  return `${JSON.stringify(parts).slice(0, -1)},"${documentKey(mediaType)}":${raw.toString('utf8').trim()}}`;
}

export const shownEntry = (entry: ManifestEntry): string => indentJson(entryText(entry), '\t');

/** @throws GantryError corrupt, naming the file */
export function parseEntry(text: string, path: string): ManifestEntry {
  try {
    const { Ref, Descriptor, Raw, SchemaV2Manifest, OCIManifest } = JSON.parse(text) as {
      Ref: string;
      Descriptor: { mediaType: string; digest: string; size: number; platform?: ListedPlatform };
      Raw?: string;
      SchemaV2Manifest?: object;
      OCIManifest?: object;
    };
    const { mediaType, digest, size, platform } = Descriptor;
    const raw = Raw === undefined ? JSON.stringify(SchemaV2Manifest ?? OCIManifest) : Buffer.from(Raw, 'base64');
    return { ref: Ref, mediaType, digest, size, platform, raw: Buffer.from(raw) };
  } catch (cause) {
    throw new GantryError('corrupt', `${path} is no manifest of a list; remove it with manifest rm`, { cause });
  }
}

/**
 * The list of these entries as it is pushed, indented as Docker's client does, so that both give it the same digest.
 * @throws GantryError invalid where an entry lacks a platform
 */
export function listText(entries: readonly ManifestEntry[]): { readonly mediaType: string; readonly text: string } {
  const isOci = entries[0]?.mediaType === mediaTypes.ociManifest;
  const mediaType = isOci ? mediaTypes.ociIndex : mediaTypes.dockerIndex;
  const manifests = entries.map(({ ref, mediaType: kind, size, digest, platform }) => {
    if (!isManifestType(kind)) throw new GantryError('unsupported', `manifest ${ref} is of the type ${kind}`);
    if (!platform?.architecture || !platform.os)
      throw new GantryError('invalid', `manifest ${ref} must have an OS and Architecture to be pushed to a registry`);
    return { mediaType: kind, size, digest, platform: ordered(platform) };
  });
  return { mediaType, text: JSON.stringify({ schemaVersion: 2, mediaType, manifests }, null, 3) };
}
