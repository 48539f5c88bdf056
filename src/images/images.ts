import type { Readable } from 'node:stream';
import type { Credentials } from '#distribution/index.ts';
import type { Descriptor, ImageConfig, ImageManifest, Platform } from '#oci/index.ts';

/** One image this engine holds. `id` is the config digest, as Docker shows it. */
export interface Image {
  readonly id: string;
  /** The manifest's descriptor (what is pushed). */
  readonly manifest: Descriptor;
  readonly config: ImageConfig;
  readonly layers: readonly Descriptor[];
  /** Chain id of the whole root filesystem; undefined for an image without layers. */
  readonly chainId: string | undefined;
  /** Familiar references: `busybox:latest`. */
  readonly tags: readonly string[];
  /** Familiar `name@sha256:…` of manifests seen at registries. */
  readonly repoDigests: readonly string[];
  /** Bytes of the unpacked layers. */
  readonly size: number;
}

/** What a pull, push, load or build says while it works. Status words are Docker's; the API writes them as they are. */
export interface ProgressEvent {
  /** Short layer id (12 hex) or tag; absent for a line of its own. */
  readonly id?: string;
  readonly status: string;
  readonly current?: number;
  readonly total?: number;
}
export type OnProgress = (event: ProgressEvent) => void;

/** The image service. Unpacking goes through the graph driver; every blob through the content store. */
export interface Images {
  /** By reference, id, unique id prefix or repo digest. @throws GantryError not-found `No such image: …`, invalid */
  get(nameOrId: string): Promise<Image>;
  list(): Promise<readonly Image[]>;
  pull(
    reference: string,
    options: {
      credentials?: Credentials | undefined;
      platform?: Platform;
      onProgress?: OnProgress;
      signal?: AbortSignal;
    },
  ): Promise<Image>;
  push(
    reference: string,
    options: { credentials?: Credentials | undefined; onProgress?: OnProgress; signal?: AbortSignal },
  ): Promise<{ digest: string; size: number }>;
  tag(source: string, target: string): Promise<void>;
  /** Untags, or removes the image when it was the last tag. @throws conflict where a container uses it and not `force` */
  remove(
    nameOrId: string,
    options: { force?: boolean; inUseBy?: (imageId: string) => string | undefined },
  ): Promise<readonly ({ untagged: string } | { deleted: string })[]>;
  /** docker-archive or oci-archive tar, gzip allowed. */
  load(source: Readable, options?: { onProgress?: OnProgress; signal?: AbortSignal }): Promise<readonly string[]>;
  /** docker-archive that is an OCI layout as well (as `docker save` 25+). */
  save(names: readonly string[], options?: { signal?: AbortSignal }): Promise<Readable>;
  /** A root filesystem tar (gzip, zstd or plain) as a one-layer image. */
  import(
    source: Readable,
    options: {
      reference?: string;
      message?: string;
      changes?: Partial<NonNullable<ImageConfig['config']>>;
      platform?: Platform;
      signal?: AbortSignal;
    },
  ): Promise<Image>;
  /**
   * Makes an image of a base's layers plus new ones (the builder, commit). A new layer is an uncompressed tar stream
   * or a chain id already unpacked with its layer blob in the content store.
   */
  create(image: NewImage, options?: { signal?: AbortSignal }): Promise<Image>;
  /** Compresses and stores a layer tar; unpacks nothing. For `create`. */
  addLayer(tar: Readable, options?: { signal?: AbortSignal }): Promise<StoredLayer>;
  /** Unpacks what of an image's chain is not unpacked yet; returns the chain id. */
  unpack(
    image: { config: ImageConfig; layers: readonly Descriptor[] },
    options?: { signal?: AbortSignal },
  ): Promise<string | undefined>;
  manifest(image: Image): Promise<ImageManifest>;
}

export interface StoredLayer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

export interface NewImage {
  readonly config: ImageConfig;
  /** All layers in order, parents first; blobs are in the content store. */
  readonly layers: readonly Descriptor[];
  readonly references: readonly string[];
}
