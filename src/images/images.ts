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
  /** What a registry has under a name, without pulling it. @throws GantryError not-found, unauthorized, … */
  inspectRemote(
    reference: string,
    options?: { credentials?: Credentials | undefined; signal?: AbortSignal },
  ): Promise<{ readonly descriptor: Descriptor; readonly platforms: readonly Platform[] }>;
  tag(source: string, target: string): Promise<void>;
  /** Untags, or removes the image when it was the last tag. @throws conflict where a container uses it and not `force` */
  remove(
    nameOrId: string,
    options: { force?: boolean; inUseBy?: (imageId: string) => string | undefined },
  ): Promise<readonly ({ untagged: string } | { deleted: string })[]>;
  /** docker-archive or oci-archive tar, gzip allowed. `platform`: of its images those for it; absent: for this host. */
  load(
    source: Readable,
    options?: { onProgress?: OnProgress; platform?: Platform; signal?: AbortSignal },
  ): Promise<readonly string[]>;
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
  /**
   * Makes an index of images that are held, with what is attested of each; its names stand for the first image here, and
   * for the index where they are pushed or saved. @throws GantryError not-found
   */
  createIndex(index: NewIndex, options?: { signal?: AbortSignal }): Promise<Descriptor>;
  /**
   * Compresses and stores a layer tar; unpacks nothing. For `create`: until an image has it, the blob is kept from being
   * collected. Whoever needs it longer than that, and others may make and remove an image of the same, takes the lease.
   */
  addLayer(
    tar: Readable,
    options?: { signal?: AbortSignal; take?: (lease: AsyncDisposable) => Promise<void> },
  ): Promise<StoredLayer>;
  /** Unpacks what of an image's chain is not unpacked yet; returns the chain id. */
  unpack(
    image: { config: ImageConfig; layers: readonly Descriptor[] },
    options?: { signal?: AbortSignal },
  ): Promise<string | undefined>;
  manifest(image: Image): Promise<ImageManifest>;
  /** Bytes of the unpacked files of each layer, in order; 0 for what is not unpacked. */
  layerSizes(image: Image): readonly number[];
  /** Of each of these images the bytes of the unpacked layers that others among them have too, by id. */
  sharedSizes(images: readonly Image[]): ReadonlyMap<string, number>;
  /** Removes images that no container uses: those without a tag, or all. Names what went, and the bytes on disk it freed. */
  prune(options: PruneImages): Promise<{ removed: readonly RemovedName[]; reclaimed: number }>;
  /**
   * Keeps all of an image from being collected while it is used (a build, a container that is being made); what `remove`
   * wanted to take meanwhile goes when it is disposed of. @throws GantryError not-found where it was removed meanwhile
   */
  hold(image: Image): Promise<AsyncDisposable>;
  /** The same for blobs and layers by digest and chain id, whether they are there yet or not. */
  holdKeys(keys: readonly string[]): Promise<AsyncDisposable>;
  /** Unpacked layers that no image has: what builds keep. `held` while work in progress relies on it. */
  otherLayers(): Promise<readonly { readonly chainId: string; readonly size: number; readonly held: boolean }[]>;
  /** Removes such a layer and its blob, if that is known; false where something stands on it or relies on it. */
  dropLayer(chainId: string, blob: string | undefined): Promise<boolean>;
  /** What images take on the disk. `layerBytes` of the graph driver's `usage`. */
  usage(layerBytes: ReadonlyMap<string, number>): Promise<ImagesUsage>;
  /** Verifies every blob, unpacked layer and reference. See check.ts. */
  check(options: CheckOptions): Promise<StoreReport>;
}

export type RemovedName = { readonly untagged: string } | { readonly deleted: string };

export interface PruneImages {
  /** Also what has a tag. */
  readonly all?: boolean;
  readonly fits?: (image: Image) => boolean;
  readonly inUseBy?: (imageId: string) => string | undefined;
}

/** Bytes on disk: blobs and unpacked layers. What several images have is counted once in `total`. */
export interface ImagesUsage {
  readonly total: number;
  readonly images: readonly { readonly image: Image; readonly size: number; readonly shared: number }[];
  /** Layers that no image has, and blobs that none has: the builder's. */
  readonly other: { readonly layers: readonly string[]; readonly blobs: number };
  /** Of the content store whole. */
  readonly blobs: number;
}

export interface CheckOptions {
  /** Puts right what can be: documents from the database, layers from blobs and blobs from layers, what nobody uses removed. */
  readonly repair?: boolean | undefined;
  /** Leaves the contents of blobs and layers unread: only that all is there. */
  readonly quick?: boolean | undefined;
  /** Who runs on a layer, which can then not be replaced. */
  readonly layerUser?: ((chainId: string) => string | undefined) | undefined;
  /** Layers that others than images keep. */
  readonly knownLayers?: ReadonlySet<string>;
  readonly signal?: AbortSignal | undefined;
}

export interface StoreProblem {
  readonly kind: 'database' | 'blob' | 'image' | 'layer' | 'index' | 'container' | 'volume';
  /** The digest, chain id, reference or container. */
  readonly subject: string;
  readonly problem: string;
  /** What was done about it; absent where nothing was. */
  readonly repaired?: string;
}

export interface StoreReport {
  readonly blobs: number;
  readonly layers: number;
  readonly images: number;
  readonly problems: readonly StoreProblem[];
}

export interface StoredLayer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

/** An in-toto statement (in-toto: spec/v1/statement.md), as JSON. */
export interface Attestation {
  readonly predicateType: string;
  readonly statement: Uint8Array;
}

export interface NewIndex {
  /** By the digests of their manifests, each for a platform of its own. */
  readonly images: readonly { readonly manifest: string; readonly attestations: readonly Attestation[] }[];
  readonly references: readonly string[];
}

export interface NewImage {
  readonly config: ImageConfig;
  /** All layers in order, parents first; blobs are in the content store. */
  readonly layers: readonly Descriptor[];
  readonly references: readonly string[];
}
