import { mkdirSync, writeFileSync } from 'node:fs';
import type { Mount } from '#oci/index.ts';

const directories = ['dev', 'proc', 'sys', 'etc'] as const;
const files = ['etc/hosts', 'etc/hostname', 'etc/resolv.conf'] as const;

/**
 * What a container is mounted on, as a layer of its own *below* the image: an image without /proc gets one to mount on,
 * and nothing of it comes into the diff of a container or of a build step. What the image has stays in front of it.
 */
export interface MountPoints {
  /** The root filesystem with the mount points at its bottom; as it is where it is no overlay. */
  below(rootfs: readonly Mount[]): readonly Mount[];
}

/** Makes the layer, or finds it: containers that outlived a daemon stand on it. */
export function createMountPoints(directory: string): MountPoints {
  for (const name of directories) mkdirSync(`${directory}/${name}`, { recursive: true, mode: 0o755 });
  for (const name of files) writeFileSync(`${directory}/${name}`, '', { mode: 0o644, flag: 'a' });
  return { below: (rootfs) => withLowest(rootfs, directory) };
}

/** An overlay with one more directory at its bottom; other mounts as they are. */
export function withLowest(rootfs: readonly Mount[], directory: string): readonly Mount[] {
  const lower = directory.replace(/[:\\]/g, '\\$&');
  return rootfs.map((mount) =>
    mount.type !== 'overlay'
      ? mount
      : {
          ...mount,
          options: (mount.options ?? []).map((option) =>
            option.startsWith('lowerdir=') ? `${option}${option === 'lowerdir=' ? '' : ':'}${lower}` : option,
          ),
        },
  );
}
