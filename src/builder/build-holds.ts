import type { Images } from '#images/index.ts';

/** What a build keeps from being removed until it is over, by `rmi`, by a prune or by what another build leaves. */
export interface BuildHolds extends AsyncDisposable {
  /** Blobs and layers, by digest, chain id and names of our own, whether they are there yet or not. */
  readonly keys: (keys: readonly string[]) => Promise<void>;
  /** What was held already becomes this build's. */
  readonly take: (lease: AsyncDisposable) => Promise<void>;
}

export function createBuildHolds(images: Pick<Images, 'holdKeys'>): BuildHolds {
  const leases = new AsyncDisposableStack();
  const take = async (lease: AsyncDisposable): Promise<void> => {
    // What was still compressed when the build failed comes to nobody.
    if (leases.disposed) await lease[Symbol.asyncDispose]();
    else leases.use(lease);
  };
  return {
    keys: async (keys) => take(await images.holdKeys(keys)),
    take,
    [Symbol.asyncDispose]: () => leases.disposeAsync(),
  };
}
