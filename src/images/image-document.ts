import { createHash } from 'node:crypto';
import { GantryError } from '#errors/index.ts';
import { chainId, type Descriptor, digestOf, type ImageConfig, type ImageManifest, parseDigest } from '#oci/index.ts';
import { parseConfigDocument } from './config-document.ts';
import { parseManifestDocument } from './manifest-document.ts';

/** One layer at its place in an image. */
export interface ChainLayer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
  readonly chainId: string;
  readonly parent: string | undefined;
}

/** An image's two documents, checked, with the bytes their digests are of. */
export interface ImageDocument {
  readonly descriptor: Descriptor;
  readonly manifestBytes: Uint8Array;
  readonly manifest: ImageManifest;
  readonly configBytes: Uint8Array;
  readonly config: ImageConfig;
  readonly chain: readonly ChainLayer[];
}

/** Whether bytes are what a descriptor names. */
export function matches(bytes: Uint8Array, { digest, size }: Descriptor): boolean {
  const { algorithm, hex } = parseDigest(digest);
  return bytes.length === size && createHash(algorithm).update(bytes).digest('hex') === hex;
}

/** Pairs layers with diff ids. @throws GantryError corrupt where their numbers differ */
export function chainOf(layers: readonly Descriptor[], config: ImageConfig, what: string): readonly ChainLayer[] {
  const diffIds = config.rootfs.diff_ids;
  if (layers.length !== diffIds.length)
    throw new GantryError(
      'corrupt',
      `${what} has ${layers.length} layers in its manifest and ${diffIds.length} diff ids in its config`,
      { code: 'layers-disagree' },
    );
  let parent: string | undefined;
  return diffIds.map((diffId, index) => {
    const id = chainId(parent, diffId);
    const layer = { descriptor: layers[index] as Descriptor, diffId, chainId: id, parent };
    parent = id;
    return layer;
  });
}

/** Checks a manifest with its config. @throws GantryError corrupt, unsupported */
export function imageDocument(
  manifest: { readonly bytes: Uint8Array; readonly mediaType: string },
  configBytes: Uint8Array,
  what: string,
): ImageDocument {
  const document = parseManifestDocument(manifest.bytes, manifest.mediaType, what);
  if (document.kind === 'index') throw new GantryError('corrupt', `${what}: an index stands where a manifest belongs`);
  const { config: descriptor, layers } = document.manifest;
  if (!matches(configBytes, descriptor))
    throw new GantryError('corrupt', `the config of ${what} does not match ${descriptor.digest}`, {
      code: 'digest-mismatch',
    });
  const config = parseConfigDocument(configBytes, what);
  return {
    descriptor: { mediaType: document.mediaType, digest: digestOf(manifest.bytes), size: manifest.bytes.length },
    manifestBytes: manifest.bytes,
    manifest: document.manifest,
    configBytes,
    config,
    chain: chainOf(layers, config, what),
  };
}
