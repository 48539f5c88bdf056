import { close, readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { GantryError, isGantryError } from '#errors/index.ts';
import { mountDetached, openInRoot, statusOf } from '#linux/index.ts';
import type { Mount } from '#oci/index.ts';
import { packTree } from '#snapshots/index.ts';
import type { Context } from './context.ts';

/**
 * A container's root filesystem to look into from outside, read-only: an overlay's upper directory becomes its topmost
 * lower one, so the view may stand beside the container's own mount.
 */
export function readOnlyView(mounts: readonly Mount[]): readonly Mount[] {
  return mounts.map((mount) => {
    if (mount.type !== 'overlay') return mount;
    const options = mount.options ?? [];
    const upper = options.find((o) => o.startsWith('upperdir='))?.slice('upperdir='.length);
    if (upper === undefined) return mount;
    return {
      ...mount,
      options: options
        .filter((o) => !/^(?:upperdir|workdir)=|^volatile$/.test(o))
        .map((o) => (o.startsWith('lowerdir=') ? `lowerdir=${upper}:${o.slice('lowerdir='.length)}` : o)),
    };
  });
}

/** Reads small files of a root filesystem, every path resolved inside it (openat2(2)); a missing file is ''. */
export function readFilesIn(mounts: readonly Mount[], paths: readonly string[]): readonly string[] {
  const root = mountDetached(readOnlyView(mounts));
  try {
    return readFilesBelow(root, paths);
  } finally {
    close(root);
  }
}

/** More than any passwd or group file; a hostile image's could fill the memory. */
const mostBytes = 8 * 1024 * 1024;

/** The same below an open directory. @throws GantryError exhausted for a file of more than 8 MiB */
export const readFilesBelow = (root: number, paths: readonly string[]): readonly string[] =>
  paths.map((path) => {
    try {
      const fd = openInRoot(root, path, 'file');
      try {
        if (statusOf(fd).size > mostBytes)
          throw new GantryError('exhausted', `${path} is larger than ${mostBytes} bytes`);
        return readFileSync(fd, 'utf8');
      } finally {
        close(fd);
      }
    } catch (error) {
      if (isGantryError(error, 'not-found') || isGantryError(error, 'invalid')) return '';
      throw error;
    }
  });

/** A container's whole root filesystem as a tar, running or not. */
export async function exportRootfs({ driver }: Pick<Context, 'driver'>, id: string): Promise<Readable> {
  const root = mountDetached(readOnlyView(await driver.mounts(id)));
  return packTree(root, {}).once('close', () => close(root));
}
