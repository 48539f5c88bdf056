import type { Readable } from 'node:stream';
import { messageOf, throwIfAborted } from '#errors/index.ts';
import type { Credentials, Image, Images } from '#images/index.ts';
import { chainIdOf, type ImageConfig, parseReference } from '#oci/index.ts';
import type { BuildCache } from './build-cache.ts';
import type { BuildRequest, CacheTarget } from './builder.ts';
import { imageConfigOf, type StageState } from './stage-state.ts';

/** Results of steps that an image carries in its configuration: which key its first so many layers are the result of. */
interface CacheRecords {
  readonly steps: readonly { readonly key: string; readonly layers: number; readonly created: string }[];
  /** Tags of more images with results, beside this one. */
  readonly also?: readonly string[];
}

const field = 'gantry.build.cache.v1';

/** A configuration with the results of the stage's steps in it. What does not know the field passes over it. */
export function withRecords(config: ImageConfig, state: StageState, also: readonly string[] = []): ImageConfig {
  const records: CacheRecords = { steps: state.results, ...(also.length === 0 ? {} : { also }) };
  const carried: object = { [field]: records };
  return { ...config, ...carried };
}

/** What a hostile image claims is taken only in this form; its layers were verified when they came in. */
function recordsOf(image: Image): CacheRecords | undefined {
  const found = (image.config as unknown as Record<string, unknown>)[field];
  if (typeof found !== 'object' || found === null) return undefined;
  const { steps, also } = found as Record<string, unknown>;
  if (!Array.isArray(steps)) return undefined;
  return {
    steps: steps.filter(
      (step): step is CacheRecords['steps'][number] =>
        /^sha256:[0-9a-f]{64}$/.test(step?.key) &&
        Number.isInteger(step.layers) &&
        step.layers > 0 &&
        step.layers <= image.layers.length &&
        !Number.isNaN(Date.parse(step.created)),
    ),
    also: Array.isArray(also) ? also.filter((tag): tag is string => /^[\w][\w.-]{0,127}$/.test(tag)) : [],
  };
}

interface Deps {
  readonly images: Images;
  readonly cache: BuildCache;
  readonly credentialsFor: (reference: string) => Credentials | undefined;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Takes in the results that images of `--cache-from` carry. A source that cannot be used is told of and passed over: a
 * build does not fail for want of a cache.
 */
export async function importRecords(sources: NonNullable<BuildRequest['cacheFrom']>, deps: Deps): Promise<void> {
  for (const source of sources) {
    const name = typeof source === 'string' ? source : 'the local cache';
    try {
      const count =
        typeof source === 'string'
          ? await importImage(await heldOrPulled(source, deps), source, deps)
          : await importArchive(await source(), deps);
      deps.say(`importing cache from ${name}: ${count === 0 ? 'it holds no results of steps' : `${count} steps`}\n`);
    } catch (error) {
      throwIfAborted(deps.signal);
      deps.say(`importing cache from ${name} failed: ${messageOf(error)}\n`);
    }
  }
}

async function heldOrPulled(reference: string, { images, credentialsFor, signal }: Deps): Promise<Image> {
  const held = await images.get(reference).catch(() => undefined);
  // What a registry has is newer than what was pulled before.
  const pulled = images.pull(reference, { credentials: credentialsFor(reference), signal });
  return held === undefined ? pulled : pulled.catch(() => held);
}

async function importArchive(tar: Readable, deps: Deps): Promise<number> {
  let count = 0;
  for (const name of await deps.images.load(tar, { signal: deps.signal }))
    count += await importImage(await deps.images.get(name), undefined, deps);
  return count;
}

async function importImage(image: Image, reference: string | undefined, deps: Deps): Promise<number> {
  const records = recordsOf(image);
  if (records === undefined) return 0;
  const { images, cache, signal } = deps;
  await images.unpack(image, { signal });
  const diffIds = image.config.rootfs.diff_ids;
  for (const { key, layers, created } of records.steps) {
    const layer = chainIdOf(diffIds.slice(0, layers));
    const diffId = diffIds[layers - 1];
    const descriptor = image.layers[layers - 1];
    if (layer === undefined || diffId === undefined || descriptor === undefined || cache.find(key) !== undefined)
      continue;
    cache.put(key, { identity: layer, layer, diffId, descriptor, created });
  }
  let count = records.steps.length;
  if (reference !== undefined)
    for (const tag of records.also ?? []) {
      const other = withTag(reference, tag);
      count += await importImage(await heldOrPulled(other, deps), undefined, deps);
    }
  return count;
}

const withTag = (reference: string, tag: string): string => {
  const { registry, repository } = parseReference(reference);
  return `${registry}/${repository}:${tag}`;
};

/** What was built for one platform. */
interface Part {
  readonly platform: string;
  readonly target: StageState;
  readonly others: readonly StageState[];
}

/** Exports that wait for one under the same name: what it stands for meanwhile is theirs alone. */
const exporting = new Map<string, Promise<unknown>>();

/** Sends results away: to a registry as images, or as an archive of such images. Inline ones are part of the image itself. */
export async function exportRecords(targets: readonly CacheTarget[], built: readonly Part[], deps: ExportDeps) {
  for (const to of targets) {
    if (to.type === 'inline') continue;
    const reference = to.type === 'registry' ? to.reference : localName;
    const before = exporting.get(reference) ?? Promise.resolve();
    const work = before.then(() => exportTo(to, reference, built, deps));
    const settled = work.catch(() => undefined);
    exporting.set(reference, settled);
    await work.finally(() => {
      if (exporting.get(reference) === settled) exporting.delete(reference);
    });
  }
}

interface ExportDeps extends Deps {
  readonly epoch: number | undefined;
  readonly onCache: ((tar: Readable) => Promise<void>) | undefined;
}

/** The first platform's target has the name that was given, and leads to everything else. */
async function exportTo(
  to: Exclude<CacheTarget, { type: 'inline' }>,
  reference: string,
  built: readonly Part[],
  { images, signal, say, onCache, epoch, credentialsFor }: ExportDeps,
): Promise<void> {
  throwIfAborted(signal);
  const { tag = 'latest' } = parseReference(reference);
  const parts = built.flatMap(({ platform, target, others }, index) => {
    const own = index === 0 ? tag : `${tag}-${platform.replaceAll('/', '-')}`;
    const stages = to.mode === 'max' ? others.filter(({ results }) => results.length > 0) : [];
    return [
      { tag: own, state: target, isTarget: true },
      ...stages.map((state, stage) => ({ tag: `${own}-stage${stage}`, state, isTarget: false })),
    ];
  });
  const also = parts.slice(1).map((part) => part.tag);
  const named = parts.map((part, index) => ({ ...part, name: index === 0 ? reference : withTag(reference, part.tag) }));
  const tagged: string[] = [];
  try {
    for (const [index, { state, name, isTarget }] of named.entries()) {
      const config = withRecords(imageConfigOf(state, epoch), state, index === 0 ? also : []);
      const layers = await Promise.all((state.tree.exported ?? []).map(({ descriptor }) => descriptor));
      await images.create({ config, layers, references: [name] }, { signal });
      if (isTarget) tagged.push(name);
    }
    const names = named.map(({ name }) => name);
    if (to.type === 'registry')
      for (const name of names) {
        const { digest } = await images.push(name, { credentials: credentialsFor(name), signal });
        say(`exporting cache to ${name}: ${digest}\n`);
      }
    else await onCache?.(await images.save(names, { signal }));
  } finally {
    // The targets' layers are their images' own; those of other stages stay for the next build.
    for (const name of tagged) await images.remove(name, {});
  }
}

const localName = 'gantry-build-cache:local';
