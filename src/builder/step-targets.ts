import { mkdir, mkdtemp, stat, writeFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { closeFd, mountDetached, openAt, removeDirectoryAt, SyscallError, unlinkAt } from '#linux/index.ts';
import type { Mount } from '#oci/index.ts';
import { withLowest } from '#snapshots/index.ts';
import type { BuildSession } from './build-session.ts';
import { findInRoot } from './tree-paths.ts';

/** Mount points of one step that its image does not have. */
export interface CoveredTargets extends AsyncDisposable {
  /** The root filesystem with them at its bottom. */
  below(rootfs: readonly Mount[]): readonly Mount[];
}

/**
 * Gives a step the mount points it needs, as a layer below the image, so that none becomes part of what the step made.
 * Where the image hides that layer, the mount point is made in the step's own diff, and removed again afterwards.
 */
export async function coverTargets(
  { scratch, driver, mountPoints }: BuildSession,
  diffId: string,
  mounts: readonly Mount[],
): Promise<CoveredTargets> {
  // What lies in /dev is made in the step's own tmpfs.
  const targets = mounts
    .map(({ destination }) => destination)
    .filter((path) => !/^\/(?:dev|proc|sys)(?:\/|$)/.test(path));
  if (targets.length === 0) return { below: (rootfs) => rootfs, [Symbol.asyncDispose]: async () => undefined };
  const directory = await mkdtemp(`${scratch}/targets-`);
  for (const { destination, type, source } of mounts) {
    if (!targets.includes(destination)) continue;
    const path = `${directory}${posix.normalize(destination)}`;
    const isFile = type === 'bind' && source !== undefined && !(await stat(source)).isDirectory();
    await mkdir(isFile ? posix.dirname(path) : path, { recursive: true, mode: 0o755 });
    if (isFile) await writeFile(path, '', { mode: 0o644 });
  }
  const below = (rootfs: readonly Mount[]) => withLowest(rootfs, directory);
  const root = mountDetached(mountPoints.below(below(await driver.mounts(diffId))));
  let hidden: readonly string[];
  try {
    hidden = targets.flatMap((path) => missingPart(root, path));
  } finally {
    closeFd(root);
  }
  return {
    below,
    async [Symbol.asyncDispose]() {
      if (hidden.length === 0) return;
      const own = mountDetached(await driver.mounts(diffId));
      try {
        for (const path of hidden) removeEmpty(own, path);
      } finally {
        closeFd(own);
      }
    },
  };
}

/** The components of a path that are not there, the deepest first. */
function missingPart(root: number, path: string): readonly string[] {
  const missing: string[] = [];
  for (let at = posix.normalize(path); at !== '/'; at = posix.dirname(at)) {
    const handle = findInRoot(root, at);
    if (handle !== undefined) {
      closeFd(handle);
      break;
    }
    missing.push(at);
  }
  return missing;
}

const O_DIRECTORY = 0o200000;

/** Removes an empty directory or file; one that the step put something into stays. */
function removeEmpty(root: number, path: string): void {
  const parent = findInRoot(root, posix.dirname(path));
  if (parent === undefined) return;
  try {
    const directory = openAt(parent, '.', O_DIRECTORY);
    try {
      removeDirectoryAt(directory, posix.basename(path));
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      if (error.code === 'ENOTDIR') unlinkAt(directory, posix.basename(path));
      else if (error.code !== 'ENOENT' && error.code !== 'ENOTEMPTY') throw error;
    } finally {
      closeFd(directory);
    }
  } finally {
    closeFd(parent);
  }
}
