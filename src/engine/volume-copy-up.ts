import { close, constants, open } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import { isGantryError } from '#errors/index.ts';
import { mountDetached, openInRoot } from '#linux/index.ts';
import { extractTar, packTree } from '#snapshots/index.ts';
import type { Context } from './context.ts';
import type { Container } from './engine.ts';
import { readOnlyView } from './rootfs.ts';

const openDirectory = promisify(open);

/** A fresh volume takes what the image has at its target, with owners, modes and links (Docker's copy-up). */
export async function fillVolumes({ driver }: Pick<Context, 'driver'>, container: Container): Promise<void> {
  const asked = container.options.mounts ?? [];
  for (const mount of container.mounts) {
    if (mount.type !== 'volume' || asked.some((m) => m.target === mount.target && m.noCopy)) continue;
    if ((await readdir(mount.source)).length > 0) continue;
    const root = mountDetached(readOnlyView(await driver.mounts(container.id)));
    try {
      const source = directoryIn(root, mount.target);
      if (source === undefined) continue;
      const target = await openDirectory(mount.source, constants.O_RDONLY | constants.O_DIRECTORY);
      try {
        await extractTar(packTree(source, {}), target, { whiteouts: 'literal' });
      } finally {
        close(target);
        close(source);
      }
    } finally {
      close(root);
    }
  }
}

function directoryIn(root: number, path: string): number | undefined {
  try {
    return openInRoot(root, path, 'directory');
  } catch (error) {
    if (isGantryError(error, 'not-found') || isGantryError(error, 'invalid')) return undefined;
    throw error;
  }
}
