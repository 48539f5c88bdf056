import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import type { DatabaseSync } from 'node:sqlite';
import type { ContentStore } from '#content/index.ts';
import { parseDockerfile } from '#dockerfile/index.ts';
import { GantryError } from '#errors/index.ts';
import type { Images } from '#images/index.ts';
import { familiarReference, parseReference } from '#oci/index.ts';
import type { GraphDriver } from '#snapshots/index.ts';
import { createBuildCache } from './build-cache.ts';
import { receiveContext } from './build-context.ts';
import type { Builder, BuildRequest, StepRunner } from './builder.ts';
import { createMountPoints } from './mount-points.ts';
import { requireNative } from './native-platform.ts';
import { type Emit, solve } from './solve.ts';
import { shortId } from './stage-run.ts';
import { createStepLayers, sweepDiffs } from './step-layers.ts';
import { trimCache } from './trim-cache.ts';

export interface BuilderOptions {
  /** What layers of stages that no image is made of may take on disk between builds. */
  readonly cacheBytes?: number;
}

/**
 * The builder. `root` is a directory of its own: contexts and downloads of running builds, empty between them; what a
 * crash left is removed here and, for diffs, before the first build.
 */
export function createBuilder(
  deps: {
    readonly db: DatabaseSync;
    readonly images: Images;
    readonly content: ContentStore;
    readonly driver: GraphDriver;
    readonly steps: StepRunner;
    readonly root: string;
  },
  { cacheBytes = 10 * 1024 ** 3 }: BuilderOptions = {},
): Builder {
  const { db, images, content, driver, steps, root } = deps;
  rmSync(root, { recursive: true, force: true });
  mkdirSync(`${root}/builds`, { recursive: true, mode: 0o700 });
  const mountPoints = createMountPoints(`${root}/mount-points`);
  const cache = createBuildCache(db);
  const layers = createStepLayers({ driver, images, content, cache });
  let swept: Promise<void> | undefined;
  let running = 0;

  const build = async (request: BuildRequest, directory: string, emit: Emit, signal: AbortSignal) => {
    using context = await receiveContext(request.context, `${directory}/context`, request.dockerfile, signal);
    const file = parseDockerfile(context.dockerfile.text, context.dockerfile.name);
    const solved = await solve(
      { request, file, context, scratch: directory, driver, steps, mountPoints, layers, cache, images },
      emit,
      signal,
    );
    const image = await images.create({ ...solved, references: request.tags }, { signal });
    emit({ stream: ` ---> ${shortId(image.id)}\n` });
    return image.id;
  };

  return {
    async build(request, { onOutput, signal = new AbortController().signal }) {
      requireNetwork(request.networkMode);
      if (request.platform !== undefined && request.platform !== '') requireNative(request.platform);
      const tags = request.tags.map((tag) => familiarReference(parseReference(tag)));
      swept ??= sweepDiffs(driver);
      await swept;
      const directory = `${root}/builds/${randomBytes(8).toString('hex')}`;
      await mkdir(directory, { mode: 0o700 });
      running++;
      try {
        const imageId = await build(request, directory, onOutput, signal);
        onOutput({ aux: { ID: imageId } });
        onOutput({ stream: `Successfully built ${shortId(imageId)}\n` });
        for (const tag of tags) onOutput({ stream: `Successfully tagged ${tag}\n` });
        return { imageId };
      } finally {
        running--;
        await rm(directory, { recursive: true, force: true });
        if (running === 0) await trimCache({ driver, cache }, cacheBytes);
      }
    },
  };
}

function requireNetwork(mode: string | undefined): void {
  if (mode !== undefined && !['', 'default', 'bridge', 'none', 'host'].includes(mode))
    throw new GantryError('unsupported', `a build cannot use the network "${mode}" yet; use default, none or host`);
}
