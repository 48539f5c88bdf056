import { readdir, rm } from 'node:fs/promises';
import type { DatabaseSync } from 'node:sqlite';
import { addAbortSignal, type Readable } from 'node:stream';
import { type ContentStore, indexText } from '#content/index.ts';
import type { RegistryClient } from '#distribution/index.ts';
import { GantryError, isGantryError, throwIfAborted } from '#errors/index.ts';
import type { GraphDriver } from '#snapshots/index.ts';
import { canonicalJson } from './canonical-json.ts';
import { check } from './check.ts';
import { createCollector } from './collector.ts';
import type { Deps, Work } from './deps.ts';
import { hold, holdImage, leaseOf } from './hold.ts';
import { chainOf, type ImageDocument } from './image-document.ts';
import { collectIndexes, createIndex } from './image-index.ts';
import { createImageTable } from './image-table.ts';
import type { Images } from './images.ts';
import { importRootfs } from './import-rootfs.ts';
import { inspectRemote } from './inspect-remote.ts';
import { createLayers } from './layers.ts';
import { createLeases } from './leases.ts';
import { load } from './load.ts';
import { createLookup } from './lookup.ts';
import { familiarKey, tagKey, tagReference } from './names.ts';
import { sweepPartials } from './partial-download.ts';
import { prune } from './prune.ts';
import { pull } from './pull.ts';
import { push } from './push.ts';
import { remove } from './remove.ts';
import { save } from './save.ts';
import { stagedName } from './staged-file.ts';
import { composeImage, keepImage, storeLayer } from './store-image.ts';
import { createTurns } from './turns.ts';
import { usage } from './usage.ts';

export interface ImagesParts {
  /** The daemon's database, in WAL with `synchronous = FULL`; tables here are named `images_…`. */
  readonly db: DatabaseSync;
  readonly content: ContentStore;
  readonly driver: GraphDriver;
  readonly registry: RegistryClient;
}

/** Opens the image service: collects what a crash left, and brings `index.json` up to date. */
export async function createImages({ db, content, driver, registry }: ImagesParts): Promise<Images> {
  const table = createImageTable(db);
  const leases = createLeases();
  const layers = createLayers({ content, driver, table });
  const collector = createCollector({ content, driver, table, leases });
  const indexTurn = createTurns(1);
  /** Layers that `addLayer` made and no image has yet, with their leases; what is left when the daemon ends is collected at the next start. */
  const fresh = new Map<string, () => void>();

  const begin = async (digests: readonly string[]): Promise<Work> => {
    const releases: (() => void)[] = [];
    const blobs = new Set<string>();
    const chains = new Set<string>();
    let kept = false;
    const holdBlobs = async (more: readonly string[]) => {
      for (const digest of more) blobs.add(digest);
      releases.push(await leases.hold(more));
    };
    await holdBlobs(digests);
    return {
      holdBlobs,
      async holdLayers(chain) {
        for (const { chainId } of chain) chains.add(chainId);
        releases.push(await leases.hold(chain.map((layer) => layer.chainId)));
      },
      keep: () => {
        kept = true;
      },
      async [Symbol.asyncDispose]() {
        for (const release of releases) release();
        if (!kept) {
          await collector.layers(chains);
          await collector.blobs(blobs);
        }
        await collector.retry();
      },
    };
  };

  const keepDocuments = async (
    { descriptor, manifestBytes, manifest, configBytes }: ImageDocument,
    signal: AbortSignal | undefined,
  ) => {
    const options = signal === undefined ? {} : { signal };
    await content.ingest(one(configBytes), { digest: manifest.config.digest, size: configBytes.length }, options);
    await content.ingest(one(manifestBytes), { digest: descriptor.digest, size: manifestBytes.length }, options);
  };

  const indexed = () =>
    table.index().map(({ descriptor, tag }) =>
      tag === undefined
        ? descriptor
        : {
            ...(table.indexes.ofTag(tag)?.descriptor ?? descriptor),
            annotations: { 'org.opencontainers.image.ref.name': familiarKey(tag) },
          },
    );
  const writeIndex = async () => {
    const leave = await indexTurn.enter();
    try {
      await content.writeIndex(indexed());
    } finally {
      leave();
    }
  };

  const deps: Deps = {
    ...{ content, driver, registry, table, leases, layers, collector, begin, keepDocuments, writeIndex },
    indexText: () => indexText(indexed()),
  };
  const lookup = createLookup(table);
  await sweepStaging(content.staging);
  await sweepPartials(content.staging);
  await collectIndexes({ table, collector });
  await collector.everything();
  await writeIndex();

  const images: Images = {
    get: async (nameOrId) => lookup.get(nameOrId),
    list: async () => lookup.list(),
    pull: (reference, options) =>
      cancellable(options.signal, async () => lookup.image(await pull(deps, reference, options))),
    push: (reference, options) => cancellable(options.signal, () => push(deps, reference, options)),

    inspectRemote: (reference, options = {}) => inspectRemote(deps, reference, options),
    async tag(source, target) {
      const ref = tagReference(target);
      const { manifest, reference } = lookup.find(source);
      const index = reference === undefined ? undefined : table.indexes.ofTag(tagKey(reference));
      table.transaction(() => {
        table.putTag(tagKey(ref), manifest);
        if (index !== undefined) table.indexes.putTag(tagKey(ref), index.descriptor.digest);
      });
      await writeIndex();
    },

    remove: (nameOrId, options) => remove(deps, lookup, nameOrId, options),

    load: (source, options = {}) =>
      cancellable(options.signal, () => load(deps, lookup, ending(source, options.signal), options)),
    save: (names, options = {}) => save(deps, lookup, names, options),
    import: (source, options) =>
      cancellable(options.signal, async () =>
        lookup.image(await importRootfs(deps, ending(source, options.signal), options)),
      ),

    async addLayer(tar, { signal, take } = {}) {
      const { layer, release } = await cancellable(signal, () => storeLayer(deps, ending(tar, signal), signal));
      const { digest } = layer.descriptor;
      if (take !== undefined) await take(leaseOf(deps, release));
      else if (fresh.has(digest)) release();
      else fresh.set(digest, release);
      return layer;
    },

    async create({ config, layers: descriptors, references }, { signal } = {}) {
      const tags = references.map((reference) => tagKey(tagReference(reference)));
      const image = composeImage(canonicalJson(config), descriptors, references[0] ?? 'the new image');
      const digest = await keepImage(deps, image, tags, { signal });
      for (const layer of descriptors) {
        fresh.get(layer.digest)?.();
        fresh.delete(layer.digest);
      }
      return lookup.image(digest);
    },

    createIndex: (index, { signal } = {}) => cancellable(signal, () => createIndex(deps, index, signal)),

    async unpack({ config, layers: descriptors }, { signal } = {}) {
      const chain = chainOf(descriptors, config, 'the image');
      await using work = await begin(descriptors.map(({ digest }) => digest));
      await work.holdLayers(chain);
      await layers.ensure(chain, { signal });
      work.keep();
      return chain.at(-1)?.chainId;
    },

    layerSizes: ({ layers: descriptors, config, id }) =>
      chainOf(descriptors, config, id).map(({ chainId }) => table.sizeOfLayer(chainId) ?? 0),
    sharedSizes: lookup.sharedSizes,
    prune: (options) => prune(deps, lookup, options),
    hold: (image) => holdImage(deps, image),
    holdKeys: (keys) => hold(deps, keys),
    async otherLayers() {
      const all = await Array.fromAsync(driver.layers());
      return all
        .filter(({ chainId }) => !table.usesChain(chainId))
        .map(({ chainId, size }) => ({ chainId, size, held: leases.holders(chainId) > 0 }));
    },
    async dropLayer(chainId, blob) {
      if (!(await collector.layer(chainId))) return false;
      if (blob !== undefined) await collector.blobs([blob]);
      return true;
    },
    usage: (layerBytes) => usage(deps, lookup, layerBytes),
    check: (options) => check(deps, options),

    async manifest(image) {
      const document = table.document(image.manifest.digest);
      if (document === undefined)
        throw new GantryError('not-found', `No such image: ${image.id}`, { code: 'image-not-found' });
      return document.manifest;
    },
  };
  return images;
}

/** Half-taken files of this service that a crash left. Nothing of it runs yet, so all of them are stale. */
async function sweepStaging(staging: string): Promise<void> {
  for (const name of await readdir(staging))
    if (stagedName.test(name)) await rm(`${staging}/${name}`, { recursive: true, force: true });
}

/** Streams and sockets end in errors of their own when a signal fires; whoever fired it is told `cancelled`. */
async function cancellable<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  throwIfAborted(signal);
  try {
    return await work();
  } catch (error) {
    if (!isGantryError(error, 'cancelled')) throwIfAborted(signal);
    throw error;
  }
}

/** The same stream, which ends with an error when the signal fires, however long its sender is silent. */
const ending = (source: Readable, signal: AbortSignal | undefined): Readable =>
  signal === undefined ? source : addAbortSignal(signal, source);

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
