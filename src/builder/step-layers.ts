import { createHash, randomBytes } from 'node:crypto';
import type { ContentStore } from '#content/index.ts';
import { throwIfAborted } from '#errors/index.ts';
import type { Images } from '#images/index.ts';
import { chainId, chainIdOf, type Descriptor, digestOf } from '#oci/index.ts';
import type { GraphDriver } from '#snapshots/index.ts';
import type { BuildCache, CachedStep } from './build-cache.ts';
import type { BuildHolds } from './build-holds.ts';
import { clampTimes } from './clamp-times.ts';
import { orCancelled } from './or-cancelled.ts';

/** One layer of the image in the making; its blob is compressed while the build goes on. */
export interface ExportedLayer {
  readonly diffId: string;
  readonly descriptor: Promise<Descriptor>;
}

/** A stage's file system after some step. */
export interface StageTree {
  /** What cache keys of later steps build on. */
  readonly identity: string;
  /** The graph driver's name of it; undefined while it is empty. */
  readonly layer: string | undefined;
  /** What an image of it consists of; undefined in a stage that no image is made of. */
  readonly exported: readonly ExportedLayer[] | undefined;
}

export interface MadeStep {
  readonly tree: StageTree;
  readonly created: string;
}

/** Of the build that asks. */
interface StepOptions {
  readonly signal: AbortSignal | undefined;
  readonly holds: BuildHolds;
}

export const emptyTree: StageTree = { identity: 'scratch', layer: undefined, exported: [] };

/**
 * Layers of build steps. The diff that a step wrote *is* its layer: it is renamed, never copied. In a stage whose
 * layers reach the image the name is the true chain id, so the tar is hashed; compressing it goes on beside the next
 * steps. In any other stage the name is one of our own, and the layer is never made a tar at all.
 */
export function createStepLayers(deps: {
  readonly driver: GraphDriver;
  readonly images: Pick<Images, 'addLayer' | 'unpack'>;
  readonly content: Pick<ContentStore, 'stat'>;
  readonly cache: BuildCache;
}) {
  const { driver, images, content, cache } = deps;

  const diffIdOf = async (id: string, signal: AbortSignal | undefined): Promise<string> => {
    const hash = createHash('sha256');
    for await (const chunk of await driver.diff(id)) {
      throwIfAborted(signal);
      hash.update(chunk);
    }
    return `sha256:${hash.digest('hex')}`;
  };

  /** Layers that are being compressed, by chain id: builds that share a step share this too. */
  const compressing = new Map<string, Promise<Descriptor>>();

  const isHere = async ({ digest }: Descriptor, { holds }: StepOptions): Promise<boolean> => {
    await holds.keys([digest]);
    return (await content.stat(digest)) !== undefined;
  };

  const compressed = async (layer: string, options: StepOptions): Promise<Descriptor> => {
    const { signal, holds } = options;
    for (;;) {
      const running = compressing.get(layer);
      if (running === undefined) break;
      // The build that does it may be cancelled; then this one does it.
      const descriptor = await orCancelled(
        running.catch(() => undefined),
        signal,
      );
      if (descriptor !== undefined && (await isHere(descriptor, options))) return descriptor;
    }
    const work = driver
      .layerDiff(layer)
      .then((tar) => images.addLayer(tar, { ...signalOption(signal), take: holds.take }))
      .then(({ descriptor }) => descriptor);
    compressing.set(layer, work);
    return work.finally(() => compressing.delete(layer));
  };

  /** Compresses a layer; what it comes to is recorded. Nobody may wait for it when the build fails: no rejection is lost. */
  const compress = (layer: string, key: string, step: CachedStep, options: StepOptions) => {
    const work = compressed(layer, options).then((descriptor) => {
      cache.put(key, { ...step, descriptor });
      return descriptor;
    });
    work.catch(() => undefined);
    return work;
  };

  const blobOf = async (key: string, step: CachedStep, layer: string, options: StepOptions) => {
    const { descriptor } = step;
    const known = descriptor !== undefined && (await isHere(descriptor, options));
    return { descriptor: known ? Promise.resolve(descriptor) : compress(layer, key, step, options) };
  };

  /** The same content under the name an image gives it: made from a stage's private layer when an image wants it. */
  const publish = async (
    key: string,
    step: CachedStep,
    from: string,
    parents: readonly ExportedLayer[],
    { signal, holds }: StepOptions,
  ): Promise<MadeStep> => {
    const stored = { ...signalOption(signal), take: holds.take };
    made++;
    const { diffId, descriptor } = await images.addLayer(await driver.layerDiff(from), stored);
    const diffIds = [...parents.map((layer) => layer.diffId), diffId];
    const layer = chainIdOf(diffIds) ?? diffId;
    await holds.keys([layer]);
    if (!(await driver.hasLayer(layer)))
      await images.unpack(
        {
          config: { architecture: '', os: 'linux', rootfs: { type: 'layers', diff_ids: diffIds } },
          layers: [...(await Promise.all(parents.map((parent) => parent.descriptor))), descriptor],
        },
        signalOption(signal),
      );
    cache.put(key, { ...step, layer, diffId, descriptor });
    const exported = [...parents, { diffId, descriptor: Promise.resolve(descriptor) }];
    return { tree: { identity: step.identity, layer, exported }, created: step.created };
  };

  let made = 0;
  return {
    /** How many diffs were begun: where it is the same as before, there is no layer more than then. */
    get made() {
      return made;
    },

    /** What an earlier build made of this key, if it is all still there; then it is held. */
    async reuse(
      key: string,
      parent: StageTree,
      options: StepOptions & { readonly portable?: boolean },
    ): Promise<MadeStep | undefined> {
      const step = cache.find(key);
      if (step === undefined) return undefined;
      const { identity, layer, privateLayer, diffId, created } = step;
      // A name of our own means nothing elsewhere, nor do the keys that were made of it.
      if (options.portable === true && identity !== layer) return undefined;
      // Held first and looked for then, so that no removal comes between.
      await options.holds.keys([layer, privateLayer].filter((name) => name !== undefined));
      if (parent.exported === undefined) {
        for (const name of [layer, privateLayer])
          if (name !== undefined && (await driver.hasLayer(name)))
            return { tree: { identity, layer: name, exported: undefined }, created };
        return undefined;
      }
      if (
        layer !== undefined &&
        diffId !== undefined &&
        chainId(parent.layer, diffId) === layer &&
        (await driver.hasLayer(layer))
      ) {
        const { descriptor } = await blobOf(key, step, layer, options);
        return { tree: { identity, layer, exported: [...parent.exported, { diffId, descriptor }] }, created };
      }
      if (privateLayer !== undefined && (await driver.hasLayer(privateLayer)))
        return publish(key, step, privateLayer, parent.exported, options);
      return undefined;
    },

    /** Runs a step on a fresh diff and makes that the next layer; a failed step leaves nothing. */
    async make(
      key: string,
      parent: StageTree,
      work: (diffId: string) => Promise<void>,
      { epoch, ...options }: StepOptions & { readonly epoch?: number },
    ): Promise<MadeStep> {
      const { signal, holds } = options;
      const id = newDiffId();
      made++;
      await driver.createDiff(id, parent.layer, { volatile: true });
      try {
        await work(id);
        throwIfAborted(signal);
        if (epoch !== undefined) await clampTimes(driver, id, epoch);
        const created = new Date(epoch === undefined ? Date.now() : epoch * 1000).toISOString();
        if (parent.exported === undefined) {
          const layer = digestOf(`${key} ${id}`);
          await holds.keys([layer]);
          await driver.commitDiff(id, layer);
          cache.put(key, { identity: layer, privateLayer: layer, created });
          return { tree: { identity: layer, layer, exported: undefined }, created };
        }
        const diffId = await diffIdOf(id, signal);
        const layer = chainId(parent.layer, diffId);
        await holds.keys([layer]);
        await driver.commitDiff(id, layer);
        const step: CachedStep = { identity: layer, layer, diffId, created };
        cache.put(key, step);
        const descriptor = compress(layer, key, step, options);
        return { tree: { identity: layer, layer, exported: [...parent.exported, { diffId, descriptor }] }, created };
      } catch (error) {
        if (await driver.hasDiff(id)) await driver.removeDiff(id);
        throw error;
      }
    },
  };
}

export type StepLayers = ReturnType<typeof createStepLayers>;

const prefix = 'build-';
const newDiffId = () => `${prefix}${randomBytes(16).toString('hex')}`;

/** The id as people see it. */
export const shortDiffId = (id: string): string => id.slice(prefix.length, prefix.length + 12);

const signalOption = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal });

/** Removes the diffs of builds that a crash ended. Only before any build of this process runs. */
export async function sweepDiffs(driver: GraphDriver): Promise<void> {
  const stale: string[] = [];
  for await (const id of driver.diffs()) if (id.startsWith(prefix)) stale.push(id);
  for (const id of stale) await driver.removeDiff(id);
}
