import { close, constants, fchmod, fchown, fstat, open } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import { isGantryError } from '#errors/index.ts';
import { mountDetached, openInRoot } from '#linux/index.ts';
import { extractTar, packTree } from '#snapshots/index.ts';
import type { Context } from './context.ts';
import type { Container } from './engine.ts';
import { readOnlyView } from './rootfs.ts';

const openDirectory = promisify(open);
const [statOf, setOwner, setMode] = [promisify(fstat), promisify(fchown), promisify(fchmod)];

/** A fresh volume takes what the image has at its target, with owners, modes and links (Docker's copy-up). */
export async function fillVolumes(
  { driver, volumes }: Pick<Context, 'driver' | 'volumes'>,
  container: Container,
): Promise<void> {
  for (const mount of container.mounts) {
    if (mount.type !== 'volume' || mount.noCopy || mount.subpath !== undefined) continue;
    const into = await volumes.mount(mount.name ?? '', container.id);
    if ((await readdir(into)).length > 0) continue;
    const root = mountDetached(readOnlyView(await driver.mounts(container.id)));
    try {
      const source = directoryIn(root, mount.target);
      if (source === undefined) continue;
      const target = await openDirectory(into, constants.O_RDONLY | constants.O_DIRECTORY);
      try {
        await extractTar(packTree(source, {}), target, { whiteouts: 'literal' });
        const { uid, gid, mode } = await statOf(source);
        await setOwner(target, uid, gid);
        await setMode(target, mode & 0o7777);
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
