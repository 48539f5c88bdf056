import { GantryError } from '#errors/index.ts';
import type { Deps } from './deps.ts';
import { chainOf } from './image-document.ts';
import type { Image } from './images.ts';

/**
 * Keeps blobs and unpacked layers, by digest and chain id, from being collected until it is disposed of, whether they are
 * there yet or not. What an `rmi` wanted to take meanwhile goes then.
 */
export const hold = async (deps: Deps, keys: readonly string[]): Promise<AsyncDisposable> =>
  leaseOf(deps, await deps.leases.hold(keys));

/** The end of a hold as something to dispose of. */
export const leaseOf = ({ collector }: Pick<Deps, 'collector'>, release: () => void): AsyncDisposable => ({
  async [Symbol.asyncDispose]() {
    release();
    await collector.retry();
  },
});

/** The same for all that an image is made of. @throws GantryError not-found where it was removed meanwhile */
export async function holdImage(deps: Deps, image: Image): Promise<AsyncDisposable> {
  const chain = chainOf(image.layers, image.config, image.id);
  const held = await hold(deps, [
    image.id,
    image.manifest.digest,
    ...chain.flatMap(({ descriptor, chainId }) => [descriptor.digest, chainId]),
  ]);
  if (deps.table.holdsManifest(image.manifest.digest)) return held;
  await held[Symbol.asyncDispose]();
  throw new GantryError('not-found', `No such image: ${image.id}`, { code: 'image-not-found' });
}
