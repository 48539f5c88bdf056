import { closeSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { isGantryError } from '#errors/index.ts';
import { closeFd, mountDetached, mountErofs } from '#linux/index.ts';
import { createLayerImageWriter } from './erofs/layer-image-writer.ts';

/**
 * Whether the kernel mounts an image of ours from a file of this directory, and an overlay on it. Tried, not guessed;
 * nothing stays mounted and nothing is left behind.
 */
export async function erofsSupported(directory: string): Promise<boolean> {
  const probe = await mkdtemp(`${directory}/gantry-erofs-probe-`);
  const image = `${probe}/image`;
  try {
    for (const name of ['upper', 'work']) await mkdir(`${probe}/${name}`);
    const file = openSync(image, 'wx');
    try {
      const writer = createLayerImageWriter(file);
      writer.finish();
      writer.complete?.([]);
    } finally {
      closeSync(file);
    }
    const lower = mountErofs(image);
    try {
      const options = [`lowerdir=/proc/self/fd/${lower}`, `upperdir=${probe}/upper`, `workdir=${probe}/work`];
      closeFd(mountDetached([{ type: 'overlay', options }]));
    } finally {
      closeFd(lower);
    }
    return true;
  } catch (error) {
    if (isGantryError(error)) return false;
    throw error;
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
}
