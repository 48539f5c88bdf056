import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { isGantryError } from '#errors/index.ts';
import { closeFd, makeNodeAt, mountDetached, openDirectory } from '#linux/index.ts';
import { makeOpaque } from './whiteouts.ts';

/**
 * Whether overlays can be written on a directory's file system: it takes whiteouts and `trusted.*` attributes, and the
 * kernel mounts it. Tried, not guessed; nothing stays mounted and nothing is left behind.
 */
export async function overlaySupported(directory: string): Promise<boolean> {
  const probe = await mkdtemp(`${directory}/gantry-overlay-probe-`);
  const at = (name: string): string => `${probe}/${name}`;
  try {
    for (const name of ['lower', 'upper', 'work']) await mkdir(at(name));
    const fd = openDirectory(at('upper'));
    try {
      makeNodeAt(fd, 'whiteout', 'character-device', 0);
      makeOpaque(fd);
    } finally {
      closeFd(fd);
    }
    closeFd(
      mountDetached([
        {
          type: 'overlay',
          options: [`lowerdir=${at('lower')}`, `upperdir=${at('upper')}`, `workdir=${at('work')}`],
        },
      ]),
    );
    return true;
  } catch (error) {
    if (isGantryError(error)) return false;
    throw error;
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
}
