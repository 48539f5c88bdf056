import { posix } from 'node:path';
import { closeFd, findStatusAt, mountDetached, setTimesAt, setTimesFd } from '#linux/index.ts';
import type { GraphDriver } from '#snapshots/index.ts';
import { findInRoot, reopen } from './tree-paths.ts';

const O_DIRECTORY = 0o200000;

/** No file that a step wrote stays newer than `epoch` seconds (reproducible-builds.org/docs/source-date-epoch). */
export async function clampTimes(driver: GraphDriver, diffId: string, epoch: number): Promise<void> {
  const paths = new Set<string>();
  // Removing a name changes its directory too.
  for await (const { path, kind } of driver.changes(diffId)) {
    if (kind !== 'deleted') paths.add(path);
    paths.add(posix.dirname(path));
  }
  const root = mountDetached(await driver.mounts(diffId));
  try {
    const time = { seconds: epoch, nanoseconds: 0 };
    for (const path of paths) clampOne(root, path, time);
  } finally {
    closeFd(root);
  }
}

function clampOne(root: number, path: string, time: { readonly seconds: number; readonly nanoseconds: number }): void {
  const newer = (mtime: { readonly seconds: number; readonly nanoseconds: number }) =>
    mtime.seconds > time.seconds || (mtime.seconds === time.seconds && mtime.nanoseconds > 0);
  const handle = findInRoot(root, posix.dirname(path));
  if (handle === undefined) return;
  const directory = reopen(handle, O_DIRECTORY);
  closeFd(handle);
  try {
    if (path === '/' || path === '') {
      const found = findStatusAt(directory, '.');
      if (found !== undefined && newer(found.mtime)) setTimesFd(directory, time);
      return;
    }
    const found = findStatusAt(directory, posix.basename(path));
    if (found !== undefined && newer(found.mtime)) setTimesAt(directory, posix.basename(path), time);
  } finally {
    closeFd(directory);
  }
}
