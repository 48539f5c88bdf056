import { createReadStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { GantryError } from '#errors/index.ts';
import { type Descriptor, isIndexType, mediaTypes, type Platform } from '#oci/index.ts';
import { type ArchiveSpool, type SpooledFile, spoolArchive } from './archive-spool.ts';
import { parseConfigDocument } from './config-document.ts';
import type { Deps } from './deps.ts';
import { type ImageDocument, imageDocument } from './image-document.ts';
import type { OnProgress } from './images.ts';
import { compressionOf } from './inflate.ts';
import type { Lookup } from './lookup.ts';
import { parseManifestDocument } from './manifest-document.ts';
import { familiarKey, tagKey, tagReference } from './names.ts';
import { checkPlatform, choosePlatform, hostPlatform, platformFit } from './platform.ts';
import { type LayerProgress, layerProgress } from './progress.ts';
import { composeImage, keepImage, storeLayer } from './store-image.ts';

export interface LoadOptions {
  readonly onProgress?: OnProgress;
  readonly platform?: Platform;
  readonly signal?: AbortSignal;
}

const largestDocument = 8 << 20;

/** One image of `manifest.json` (docker-archive). */
interface DockerEntry {
  readonly config: string;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

/**
 * Takes in the images of an archive: an OCI layout byte for byte where it is one, else by Docker's `manifest.json`, whose
 * layers are compressed here. Resolves with what was loaded: each name, or the id of an image without one.
 */
export async function load(
  deps: Deps,
  lookup: Lookup,
  source: Readable,
  options: LoadOptions,
): Promise<readonly string[]> {
  await using archive = await spoolArchive(source, deps.content.staging, options.signal);
  const docker = await dockerEntries(archive);
  const index = archive.find('oci-layout') === undefined ? undefined : archive.find('index.json');
  if (docker === undefined && index === undefined)
    throw new GantryError(
      'invalid',
      'the archive is no image: it has neither manifest.json (docker save) nor oci-layout and index.json; use import for a root filesystem',
      { code: 'not-an-image' },
    );
  const loaded: string[] = [];
  const wanted = options.platform ?? hostPlatform();
  const loadOne = async (image: ImageDocument, tags: readonly string[]) => {
    checkPlatform(image.config, options.platform, tags[0] ?? image.descriptor.digest);
    const digest = await keepImage(deps, image, tags, {
      signal: options.signal,
      progressOf: (layer) => loadingProgress(options.onProgress, layer),
    });
    loaded.push(...(tags.length === 0 ? [lookup.image(digest).id] : tags.map(familiarKey)));
  };

  if (index === undefined) {
    for (const entry of docker ?? []) await loadDockerEntry(deps, archive, entry, options, loadOne);
    return loaded;
  }
  const namesOf = new Map<string, readonly string[]>();
  for (const { config, tags } of docker ?? []) namesOf.set(archive.find(config)?.digest ?? '', tags);
  for (const [descriptor, annotated] of named(await layoutManifests(index, wanted))) {
    const image = await layoutImage(archive, descriptor, wanted);
    const { config, layers } = image.manifest;
    await using _work = await deps.begin([image.descriptor.digest, config.digest, ...layers.map((l) => l.digest)]);
    for (const layer of layers) await adopt(deps, blobIn(archive, layer));
    const names = namesOf.get(config.digest) ?? annotated;
    await loadOne(image, [...new Set(names.map((name) => tagKey(tagReference(name))))]);
  }
  return loaded;
}

/** Loading a layer is one thing to who watches, whatever is done for it. */
function loadingProgress(onProgress: OnProgress | undefined, digest: string): LayerProgress {
  const { count } = layerProgress(onProgress, digest);
  return { say: () => {}, count: (_status, current, total) => count('Loading layer', current, total) };
}

async function documentOf(spooled: SpooledFile, what: string): Promise<Buffer> {
  if (spooled.size <= largestDocument) return await readFile(spooled.file);
  throw new GantryError('exhausted', `${what} has ${spooled.size} bytes; at most ${largestDocument} are read`);
}

async function dockerEntries(archive: ArchiveSpool): Promise<readonly DockerEntry[] | undefined> {
  const found = archive.find('manifest.json');
  if (found === undefined) return undefined;
  const wrong = (why: string) => new GantryError('corrupt', `the archive's manifest.json is not valid: ${why}`);
  const bytes = await documentOf(found, 'manifest.json');
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw wrong('it is not JSON');
  }
  const texts = (value: unknown, field: string): readonly string[] => {
    if (value === null || value === undefined) return [];
    if (!Array.isArray(value) || value.some((one) => typeof one !== 'string'))
      throw wrong(`${field} is no list of texts`);
    return value as string[];
  };
  if (!Array.isArray(parsed)) throw wrong('it is not a list');
  return parsed.map((entry: unknown) => {
    const { Config, RepoTags, Layers } = (entry ?? {}) as Record<string, unknown>;
    if (typeof Config !== 'string') throw wrong('an image has no Config');
    return { config: Config, tags: texts(RepoTags, 'RepoTags'), layers: texts(Layers, 'Layers') };
  });
}

async function loadDockerEntry(
  deps: Deps,
  archive: ArchiveSpool,
  entry: DockerEntry,
  options: LoadOptions,
  loadOne: (image: ImageDocument, tags: readonly string[]) => Promise<void>,
): Promise<void> {
  const named = (name: string): SpooledFile => {
    const found = archive.find(name);
    if (found !== undefined) return found;
    throw new GantryError('corrupt', `the archive's manifest.json names "${name}", which the archive has not`);
  };
  const what = entry.tags[0] ?? entry.config;
  const tags = entry.tags.map((tag) => tagKey(tagReference(tag)));
  const configBytes = await documentOf(named(entry.config), entry.config);
  const diffIds = parseConfigDocument(configBytes, what).rootfs.diff_ids;
  const files = entry.layers.map(named);
  await using work = await deps.begin(files.map(({ digest }) => digest));
  const releases: (() => void)[] = [];
  try {
    const layers: Descriptor[] = [];
    for (const [position, file] of files.entries()) {
      const compression = await compressionAt(file.file);
      if (compression === 'none') {
        if (file.digest !== diffIds[position])
          throw new GantryError(
            'corrupt',
            `the layer "${entry.layers[position]}" of ${what} is ${file.digest}, its config says ${diffIds[position]}`,
            { code: 'diff-id-mismatch' },
          );
        const { layer, release } = await storeLayer(
          deps,
          createReadStream(file.file, { highWaterMark: 1 << 20 }),
          options.signal,
        );
        releases.push(release);
        await work.holdBlobs([layer.descriptor.digest]);
        layers.push(layer.descriptor);
      } else {
        await adopt(deps, file);
        const mediaType = compression === 'gzip' ? mediaTypes.ociLayerGzip : mediaTypes.ociLayerZstd;
        layers.push({ mediaType, digest: file.digest, size: file.size });
      }
    }
    await loadOne(composeImage(configBytes, layers, what), tags);
  } finally {
    for (const release of releases) release();
  }
}

async function compressionAt(file: string) {
  await using handle = await open(file, 'r');
  const head = Buffer.alloc(512);
  const { bytesRead } = await handle.read(head, 0, head.length, 0);
  return compressionOf(head.subarray(0, bytesRead));
}

/** Gives a spooled file to the content store, once; a later mention finds it there. */
async function adopt({ content }: Deps, { file, digest, size }: SpooledFile): Promise<void> {
  if ((await content.stat(digest)) === undefined) await content.adopt(file, { digest, size });
}

function blobIn(archive: ArchiveSpool, { digest, size }: Descriptor): SpooledFile {
  const found = archive.byDigest(digest);
  if (found === undefined)
    throw new GantryError('corrupt', `the archive has no blob ${digest}, or one with other bytes`, {
      code: 'digest-mismatch',
    });
  if (found.size !== size)
    throw new GantryError('corrupt', `the blob ${digest} has ${found.size} bytes, its descriptor says ${size}`, {
      code: 'size-mismatch',
    });
  return found;
}

/** The descriptors of a layout's `index.json` that the wanted platform can run (image-spec: image-layout.md#indexjson-file). */
async function layoutManifests(file: SpooledFile, wanted: Platform): Promise<readonly Descriptor[]> {
  const document = parseManifestDocument(
    await documentOf(file, 'index.json'),
    mediaTypes.ociIndex,
    "the archive's index.json",
  );
  if (document.kind !== 'index') throw new GantryError('corrupt', "the archive's index.json is not an index");
  const { manifests } = document.index;
  const fitting = manifests.filter(
    ({ platform }) => platform === undefined || platformFit(platform, wanted) !== undefined,
  );
  if (fitting.length === 0 && manifests.length > 0) return [choosePlatform(manifests, wanted, 'the archive')];
  return fitting;
}

async function layoutImage(archive: ArchiveSpool, top: Descriptor, wanted: Platform): Promise<ImageDocument> {
  let descriptor = top;
  for (let depth = 0; depth < 3; depth++) {
    const bytes = await documentOf(blobIn(archive, descriptor), descriptor.digest);
    const document = parseManifestDocument(bytes, descriptor.mediaType, descriptor.digest);
    if (document.kind === 'manifest') {
      const config = blobIn(archive, document.manifest.config);
      const configBytes = await documentOf(config, config.digest);
      return imageDocument({ bytes, mediaType: document.mediaType }, configBytes, descriptor.digest);
    }
    descriptor = choosePlatform(document.index.manifests, wanted, descriptor.digest);
    if (isIndexType(descriptor.mediaType)) continue;
  }
  throw new GantryError('unsupported', `${top.digest} nests too many indexes`);
}

/** A layout mentions an image once for each of its names: here it comes once, with all of them. */
function named(descriptors: readonly Descriptor[]): ReadonlyMap<Descriptor, readonly string[]> {
  const byDigest = Map.groupBy(descriptors, ({ digest }) => digest);
  return new Map(
    [...byDigest.values()].flatMap((mentions) => {
      const [first] = mentions;
      return first === undefined ? [] : [[first, mentions.flatMap(annotatedNames)] as const];
    }),
  );
}

/** `io.containerd.image.name` is a whole name; the OCI annotation may be one, or a bare tag, which names nothing. */
function annotatedNames({ annotations }: Descriptor): readonly string[] {
  const whole = annotations?.['io.containerd.image.name'];
  if (whole !== undefined) return [whole];
  const name = annotations?.['org.opencontainers.image.ref.name'];
  return name !== undefined && /[:/]/.test(name) ? [name] : [];
}
