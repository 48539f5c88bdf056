import { constants, readlinkSync } from 'node:fs';
import { chmodFd, closeFd, mountDetached, openBeneath, openDirectory, readDirectory, statusOf } from '#linux/index.ts';
import type { Mount } from '#oci/index.ts';
import { ensureDirectory, type Owner } from './tree-paths.ts';

const { O_DIRECTORY, O_RDONLY } = constants;

/**
 * Opens the diff's own directory for a path of its root filesystem, if nothing of the layers below shows in it: what is
 * written there is what the overlay would make of it, at the speed of a plain filesystem. Undefined where files are there
 * already, or the diff is no overlay. The directory is made if need be; the caller closes the fd, and mounts the diff only
 * then.
 */
export function openUpperDirectory(
  mounts: readonly Mount[],
  path: string,
  owner: Owner | undefined,
): { readonly fd: number; readonly made: boolean } | undefined {
  const upper = mounts
    .find(({ type }) => type === 'overlay')
    ?.options?.find((option) => option.startsWith('upperdir='))
    ?.slice('upperdir='.length);
  if (upper === undefined) return undefined;
  const root = mountDetached(mounts);
  let inside: string;
  let made: boolean;
  try {
    const ensured = ensureDirectory(root, path, owner);
    const { fd } = ensured;
    try {
      made = ensured.made;
      if (readDirectory(fd).length > 0) return undefined;
      // A change that is none brings the directory, and those above it, into the diff.
      chmodFd(fd, statusOf(fd).mode);
      inside = readlinkSync(`/proc/self/fd/${fd}`);
    } finally {
      closeFd(fd);
    }
  } finally {
    closeFd(root);
  }
  const directory = openDirectory(upper);
  try {
    return { fd: openBeneath(directory, inside.replace(/^\/+/, '') || '.', O_RDONLY | O_DIRECTORY), made };
  } finally {
    closeFd(directory);
  }
}
