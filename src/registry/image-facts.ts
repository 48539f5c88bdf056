import { isGantryError } from '#errors/index.ts';
import { isDigest, isIndexType } from '#oci/index.ts';
import type { Blobs } from './blobs.ts';
import type { Manifests } from './manifests.ts';
import type { Repository } from './repositories.ts';

export interface PlatformFacts {
  readonly digest: string;
  readonly platform: string;
  readonly size: number;
}

/** One line of an image's history, with the layer that it made where it made one. */
export interface StepFacts {
  readonly instruction: string;
  readonly created: string | undefined;
  readonly layer: { readonly digest: string; readonly mediaType: string; readonly size: number } | undefined;
}

/** What a manifest says, for people: read from bytes that strangers pushed, so whatever is malformed is left out. */
export interface ImageFacts {
  readonly digest: string;
  readonly mediaType: string;
  /** Of the manifest and all it names, as far as it is here, in bytes. */
  readonly size: number;
  readonly tags: readonly string[];
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
  /** Of an index: what it offers. Of an image: its own platform. */
  readonly platforms: readonly PlatformFacts[];
  readonly steps: readonly StepFacts[];
  /** The `config` object of the image's configuration, such as Env and Cmd. */
  readonly config: Readonly<Record<string, unknown>>;
}

const configLimit = 4 << 20;
type Json = Readonly<Record<string, unknown>>;

/** @throws GantryError as `Manifests.find` */
export async function imageFacts(
  {
    manifests,
    blobs,
  }: { readonly manifests: Pick<Manifests, 'find' | 'read' | 'tagsOf'>; readonly blobs: Pick<Blobs, 'read'> },
  repository: Repository,
  reference: string,
): Promise<ImageFacts> {
  const stored = await manifests.find(repository, reference);
  const document = objectOf(JSON.parse((await manifests.read(stored)).toString('utf8')));
  const common = {
    digest: stored.digest,
    mediaType: stored.mediaType,
    tags: await manifests.tagsOf(repository, stored.digest),
    artifactType: textOf(document.artifactType),
    annotations: textsOf(document.annotations),
  };
  if (isIndexType(stored.mediaType)) {
    const platforms: PlatformFacts[] = [];
    for (const entry of listOf(document.manifests)) {
      const { digest, platform } = objectOf(entry);
      if (typeof digest !== 'string' || !isDigest(digest)) continue;
      const size = await sizeHere(manifests, repository, digest);
      platforms.push({ digest, platform: platformOf(objectOf(platform)), size });
    }
    const size = platforms.reduce((sum, entry) => sum + entry.size, stored.size);
    return { ...common, size, platforms, steps: [], config: {} };
  }
  const configDigest = objectOf(document.config).digest;
  const config = typeof configDigest === 'string' ? await readConfig(blobs, repository, configDigest) : {};
  const layers = listOf(document.layers).map((entry) => {
    const { digest, mediaType, size } = objectOf(entry);
    return { digest: String(digest), mediaType: String(mediaType), size: Number(size) };
  });
  const size = await sizeHere(manifests, repository, stored.digest);
  return {
    ...common,
    size,
    platforms: typeof config.os === 'string' ? [{ digest: stored.digest, platform: platformOf(config), size }] : [],
    steps: stepsOf(listOf(config.history), layers),
    config: objectOf(config.config),
  };
}

/** History and layers side by side: each line that is not of an empty layer made the next layer. */
function stepsOf(history: readonly unknown[], layers: readonly NonNullable<StepFacts['layer']>[]): StepFacts[] {
  const left = [...layers];
  const steps = history.slice(0, 1000).map((entry): StepFacts => {
    const { created_by: by, created, empty_layer: empty, comment } = objectOf(entry);
    const instruction = textOf(by) ?? textOf(comment) ?? '';
    return { instruction, created: textOf(created), layer: empty === true ? undefined : left.shift() };
  });
  return [...steps, ...left.map((layer): StepFacts => ({ instruction: '', created: undefined, layer }))];
}

async function readConfig(blobs: Pick<Blobs, 'read'>, repository: Repository, digest: string): Promise<Json> {
  try {
    return objectOf(JSON.parse((await blobs.read(repository, digest, configLimit)).toString('utf8')));
  } catch (error) {
    // An artifact's configuration need not be JSON, nor here.
    if (error instanceof SyntaxError || isGantryError(error)) return {};
    throw error;
  }
}

async function sizeHere(manifests: Pick<Manifests, 'find'>, repository: Repository, digest: string): Promise<number> {
  try {
    return (await manifests.find(repository, digest)).imageSize;
  } catch (error) {
    if (isGantryError(error, 'not-found')) return 0;
    throw error;
  }
}

const platformOf = ({ os, architecture, variant }: Json): string =>
  [os, architecture, variant].filter((part) => typeof part === 'string' && part !== '').join('/') || 'unknown';
const objectOf = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
const textsOf = (value: unknown): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(objectOf(value)).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
