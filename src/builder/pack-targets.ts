import type { Readable } from 'node:stream';
import { GantryError } from '#errors/index.ts';
import { closeFd, mountDetached } from '#linux/index.ts';
import { type GraphDriver, packTrees } from '#snapshots/index.ts';
import type { Solved } from './solve.ts';

/**
 * The files of what was built, as one tar; of several platforms each below a directory of its own, `linux_arm64/`. The
 * tar can be read until it is disposed of. @throws GantryError invalid where a target has no files
 */
export async function packTargets(
  built: readonly (Solved & { readonly platform: string })[],
  driver: GraphDriver,
  signal: AbortSignal,
): Promise<Disposable & { readonly tar: Readable }> {
  using opened = new DisposableStack();
  const trees = [];
  for (const { target, platform } of built) {
    const { layer } = target.tree;
    if (layer === undefined) throw new GantryError('invalid', 'the target has no files to write out');
    const rootFd = opened.adopt(mountDetached(await driver.view(layer)), closeFd);
    trees.push({ rootFd, ...(built.length === 1 ? {} : { prefix: `${platform.replaceAll('/', '_')}/`, root: true }) });
  }
  const held = opened.move();
  return { tar: packTrees(trees, { signal }), [Symbol.dispose]: () => held.dispose() };
}
