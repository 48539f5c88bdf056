import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import type { DatabaseSync } from 'node:sqlite';
import { Readable } from 'node:stream';
import type { ContentStore } from '#content/index.ts';
import { checkDirective, lintDockerfile, parseDockerfile } from '#dockerfile/index.ts';
import { GantryError, throwIfAborted } from '#errors/index.ts';
import type { Images } from '#images/index.ts';
import { familiarReference, parseReference } from '#oci/index.ts';
import type { GraphDriver, MountPoints } from '#snapshots/index.ts';
import { credentialsFor } from './base-images.ts';
import { createBuildCache } from './build-cache.ts';
import { receiveContext } from './build-context.ts';
import { createBuildHolds } from './build-holds.ts';
import type { Builder, BuildRequest, StepRunner } from './builder.ts';
import { createCacheMounts } from './cache-mounts.ts';
import { exportRecords, importRecords } from './cache-records.ts';
import { exportMount, importMount } from './carry-mounts.ts';
import { readContextList } from './context-list.ts';
import { createNamedTrees } from './context-trees.ts';
import { eachPlatform, platformsOf } from './each-platform.ts';
import { detachAllBelow } from './host-mounts.ts';
import { createKeptContexts } from './kept-contexts.ts';
import type { Flights } from './keyed-step.ts';
import { knownImages } from './known-images.ts';
import { makeImages } from './make-images.ts';
import { packTargets } from './pack-targets.ts';
import { nativePlatform, platformName } from './platforms.ts';
import { listCache, pruneCache } from './prune-cache.ts';
import { type Emit, solve } from './solve.ts';
import { epochOf } from './source-date-epoch.ts';
import { shortId } from './stage-run.ts';
import { createStepLayers, sweepDiffs } from './step-layers.ts';
import { createStepMemory } from './step-memory.ts';
import { trimCache } from './trim-cache.ts';

export interface BuilderOptions {
  /** What layers of stages that no image is made of may take on disk between builds. */
  readonly cacheBytes?: number;
}

/**
 * The builder. `root` is a directory of its own: contexts and downloads of running builds, empty between them, and cache
 * mounts, which stay. What a crash left is removed here and, for diffs, before the first build.
 */
export function createBuilder(
  deps: {
    readonly db: DatabaseSync;
    readonly images: Images;
    readonly content: ContentStore;
    readonly driver: GraphDriver;
    readonly steps: StepRunner;
    readonly mountPoints: MountPoints;
    readonly root: string;
  },
  { cacheBytes = 10 * 1024 ** 3 }: BuilderOptions = {},
): Builder {
  const { db, images, content, driver, steps, mountPoints, root } = deps;
  detachAllBelow(root);
  rmSync(`${root}/builds`, { recursive: true, force: true });
  mkdirSync(`${root}/builds`, { recursive: true, mode: 0o700 });
  const contexts = createKeptContexts(`${root}/contexts`, `${root}/builds`);
  const cacheMounts = createCacheMounts(`${root}/cache-mounts`);
  const cache = createBuildCache(db);
  const memory = createStepMemory(db);
  const layers = createStepLayers({ driver, images, content, cache });
  const flights: Flights = new Map();
  let swept: Promise<void> | undefined;
  /** What `layers.made` was when the cache was last brought down to its size. */
  let trimmedAt: number | undefined;

  /** The image's id and the digest of what was tagged; none where a check or only files were asked for. */
  const build = async (
    request: BuildRequest,
    scratch: string,
    { onOutput: emit, onRootfs, onCache }: Parameters<Builder['build']>[1] & { onOutput: Emit },
    signal: AbortSignal,
  ): Promise<{ readonly id: string; readonly digest: string } | undefined> => {
    const started = new Date();
    const platforms = platformsOf(request);
    using context = await receiveContext(request.context, `${scratch}/context`, request.dockerfile, {
      secrets: request.secrets,
      signal,
      clampsTimes: epochOf(request.buildArgs) !== undefined,
    });
    using named = createNamedTrees(request.namedContexts ?? {}, scratch, request.secrets, signal);
    const file = parseDockerfile(context.dockerfile.text, context.dockerfile.name);
    const { ignore } = context.tree;
    const warnings = lintDockerfile(file, {
      ...(await knownImages(file, images, platforms[0] ?? nativePlatform)),
      ...(ignore.empty ? {} : { ignores: ignore.ignores }),
    });
    for (const warning of warnings) emit({ warning });
    if (checkDirective(file).error && warnings.length > 0)
      throw new GantryError(
        'invalid',
        `lint violation found for rules: ${[...new Set(warnings.map(({ rule }) => rule))].join(', ')}`,
        { code: 'lint' },
      );
    if (request.check === true) return undefined;
    const epoch = epochOf(request.buildArgs);
    await using holds = createBuildHolds(images);
    const cacheDeps = {
      images,
      cache,
      credentialsFor: (reference: string) => credentialsFor(request.credentials, reference),
      say: (text: string) => emit({ stream: text }),
      signal,
    };
    await importRecords(request.cacheFrom ?? [], cacheDeps);
    const session = {
      request,
      file,
      context,
      namedTree: named.get,
      scratch,
      driver,
      steps,
      mountPoints,
      cacheMounts,
      layers,
      holds,
      cache,
      memory,
      flights,
      epoch,
      portable: (request.cacheTo?.length ?? 0) > 0,
      images,
    };
    const built = await eachPlatform(platforms, emit, signal, (platform, tell, stop) =>
      solve({ ...session, platform }, tell, stop),
    );
    const names = platforms.map(platformName);
    const parts = built.map((solved, index) => ({ ...solved, platform: names[index] ?? '' }));
    await exportRecords(request.cacheTo ?? [], parts, { ...cacheDeps, epoch, onCache });
    if (request.output === 'rootfs') {
      using files = await packTargets(parts, driver, signal);
      await onRootfs?.(files.tar);
      return undefined;
    }
    const made = await makeImages(
      built,
      { request, context, epoch },
      { images, driver, layers },
      { scratch, signal, holds, started },
    );
    emit({ stream: ` ---> ${shortId(made.image.id)}\n` });
    return { id: made.image.id, digest: made.digest };
  };

  return {
    async build(request, options) {
      const { onOutput, signal = new AbortController().signal } = options;
      throwIfAborted(signal);
      requireNetwork(request.networkMode);
      const tags = request.tags.map((tag) => familiarReference(parseReference(tag)));
      swept ??= sweepDiffs(driver);
      await swept;
      const directory = `${root}/builds/${randomBytes(8).toString('hex')}`;
      await mkdir(directory, { mode: 0o700 });
      try {
        const made = await build(request, directory, options, signal);
        if (made === undefined) return { imageId: '' };
        const { id: imageId, digest } = made;
        onOutput({ aux: { ID: imageId, Digest: digest } });
        onOutput({ stream: `Successfully built ${shortId(imageId)}\n` });
        for (const tag of tags) onOutput({ stream: `Successfully tagged ${tag}\n` });
        return { imageId };
      } finally {
        if (!(request.context instanceof Readable) && 'offer' in request.context)
          await request.context.offer[Symbol.asyncDispose]();
        cache.noteUses();
        await rm(directory, { recursive: true, force: true });
        // To look at every layer there is would take longer than a build that makes none.
        const { made } = layers;
        if (made !== trimmedAt) await trimCache({ images, cache }, cacheBytes);
        trimmedAt = made;
        await contexts.trim(cacheBytes / 4);
      }
    },
    prune: (request) => pruneCache({ images, cache, cacheMounts, contexts }, request),
    exportMount: (id, take, signal) => exportMount(cacheMounts, id, take, signal),
    importMount: (id, tar, signal) => importMount(cacheMounts, id, tar, signal),
    usage: () => listCache({ images, cache, cacheMounts, contexts }),
    offerContext: async (key, list) => contexts.offer(key, await readContextList(list)),
  };
}

function requireNetwork(mode: string | undefined): void {
  if (mode !== undefined && !['', 'default', 'bridge', 'none', 'host'].includes(mode))
    throw new GantryError('unsupported', `a build cannot use the network "${mode}" yet; use default, none or host`);
}
