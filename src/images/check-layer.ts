import { randomBytes } from 'node:crypto';
import { GantryError, messageOf, throwIfAborted } from '#errors/index.ts';
import { chainId as chainIdOn, digestOf } from '#oci/index.ts';
import type { Deps } from './deps.ts';
import { firstDifference } from './first-difference.ts';
import { gzipMembers } from './gzip-members.ts';
import type { ChainLayer } from './image-document.ts';
import type { CheckOptions, StoreProblem } from './images.ts';
import { passLayer } from './layer-pass.ts';

const CANNOT_BE_READ = 'it cannot be read';

/** Resolves with what was done. */
export type Repair = () => Promise<string>;
export type Tell = (kind: StoreProblem['kind'], subject: string, problem: string, mend?: Repair) => Promise<void>;

/** What was found so far. Several chains may have one blob; a child may have the whole of its parent in it. */
export interface Findings {
  /** What is wrong with a blob that was read, or undefined. */
  readonly blobs: Map<string, string | undefined>;
  /** Unpacked layers that are not what they should be. */
  readonly broken: Set<string>;
  /** Those, and all that stand on them, on which nothing can be unpacked to compare with. */
  readonly unreadable: Set<string>;
}

/**
 * Verifies one layer: its blob against digest and diff id, and what is unpacked of it against the blob unpacked once more.
 */
export async function checkLayer(
  deps: Deps,
  layer: ChainLayer,
  { blobs, broken, unreadable }: Findings,
  { quick, signal, layerUser }: Pick<CheckOptions, 'quick' | 'signal' | 'layerUser'>,
  tell: Tell,
): Promise<void> {
  const { content, driver, table } = deps;
  const { descriptor, chainId } = layer;
  const { digest } = descriptor;
  const parentThere = layer.parent === undefined || (await driver.hasLayer(layer.parent));
  const onUnreadable = unreadable.has(layer.parent ?? '');
  if (onUnreadable) unreadable.add(chainId);
  const comparable = parentThere && !onUnreadable && (driver.independentLayers || !broken.has(layer.parent ?? ''));
  let there = await driver.hasLayer(chainId);
  const user = layerUser?.(chainId);
  let scratch: string | undefined;
  let release: (() => void) | undefined;
  try {
    if (!blobs.has(digest) || !quick) {
      // The copy has a row like any layer, so that one that a crash leaves behind is collected.
      const copy = quick || !comparable ? undefined : chainIdOn(layer.parent, digestOf(randomBytes(32)));
      if (copy !== undefined) {
        release = await deps.leases.hold([copy]);
        table.putLayer(copy, 0);
      }
      const fault = await readBlob(deps, layer, copy, { quick, signal });
      if (fault === undefined) scratch = copy;
      else if (copy !== undefined) table.dropLayer(copy);
      const isNew = !blobs.has(digest);
      blobs.set(digest, fault);
      if (fault !== undefined && isNew)
        await tell('blob', digest, fault, async () => {
          await content.delete(digest);
          const how = there ? await packAgain(deps, layer) : undefined;
          if (how !== undefined) return how;
          table.forgetBlob(digest);
          return 'removed; pull or load the image again';
        });
    }
    const difference = await differenceOf(deps, layer, there, scratch);
    if (difference !== undefined) {
      broken.add(chainId);
      if (difference.startsWith(CANNOT_BE_READ)) unreadable.add(chainId);
      const mend = async () => {
        if (user !== undefined) throw new GantryError('conflict', `${user} runs on it; stop it first`);
        if (blobs.get(digest) !== undefined) throw new GantryError('corrupt', 'its blob is no better');
        if (scratch === undefined) await deps.layers.ensure([layer], { signal });
        else {
          await driver.replaceLayer(scratch, chainId);
          table.dropLayer(scratch);
          table.putLayer(chainId, await sizeOf(deps, chainId));
          scratch = undefined;
        }
        there = true;
        broken.delete(chainId);
        unreadable.delete(chainId);
        return 'unpacked again';
      };
      await tell('layer', chainId, difference, mend);
    }
    if (there && !table.hasLayer(chainId))
      await tell('layer', chainId, 'it is unpacked and no row says so', async () => {
        table.putLayer(chainId, await sizeOf(deps, chainId));
        return 'row written';
      });
  } finally {
    if (scratch !== undefined) {
      await driver.removeLayer(scratch);
      table.dropLayer(scratch);
    }
    release?.();
  }
}

/** What is wrong with a layer's blob; the copy, where one is asked for, is unpacked of it on the way. */
async function readBlob(
  deps: Deps,
  layer: ChainLayer,
  copy: string | undefined,
  { quick, signal }: Pick<CheckOptions, 'quick' | 'signal'>,
): Promise<string | undefined> {
  const { content, driver } = deps;
  const { descriptor, diffId } = layer;
  const found = await content.stat(descriptor.digest);
  if (found === undefined) return 'a layer of an image is missing';
  if (found.size !== descriptor.size) return `it has ${found.size} bytes, and the manifest says ${descriptor.size}`;
  if (quick) return undefined;
  const writer = copy === undefined ? undefined : await driver.prepareLayer(copy, layer.parent);
  try {
    await passLayer({
      source: await content.open(descriptor.digest),
      descriptor,
      diffId,
      ...(signal === undefined ? {} : { signal }),
      ...(writer === undefined ? {} : { unpack: (tar) => writer.unpack(tar) }),
    });
    await writer?.commit();
    return undefined;
  } catch (error) {
    await writer?.abort();
    throwIfAborted(signal);
    return messageOf(error);
  }
}

async function differenceOf(
  { driver }: Deps,
  { chainId }: ChainLayer,
  there: boolean,
  scratch: string | undefined,
): Promise<string | undefined> {
  if (!there) return 'it is not unpacked';
  if (scratch === undefined) return undefined;
  const right = await driver.layerDiff(scratch);
  try {
    const difference = await firstDifference(right, await driver.layerDiff(chainId));
    return difference === undefined ? undefined : `it is not what its blob unpacks to: ${difference}`;
  } catch (error) {
    // An image of another file system, or a disk that gives wrong bytes, may be beyond reading.
    return `${CANNOT_BE_READ}: ${messageOf(error)}`;
  } finally {
    right.destroy();
  }
}

/** Makes the blob of the unpacked layer again, where this engine had packed it: then the bytes are the same. */
async function packAgain({ content, driver }: Deps, { chainId, descriptor }: ChainLayer): Promise<string | undefined> {
  try {
    await content.ingest(gzipMembers(await driver.layerDiff(chainId)), descriptor);
    return 'packed again from the unpacked layer';
  } catch {
    return undefined; // somebody else's gzip: only who made it has these bytes
  }
}

async function sizeOf({ driver }: Deps, chainId: string): Promise<number> {
  for await (const layer of driver.layers()) if (layer.chainId === chainId) return layer.size;
  return 0;
}
