import { closeFd, mountErofs } from '#linux/index.ts';

/**
 * Mounts of layers' images, made when they are first asked for and attached nowhere: all containers on a layer share one,
 * and with it what the kernel has cached. A mount is reached through this process's fds and ends with them; an overlay that
 * stands on it has a mount of its own by then, and stays.
 */
export function createImageMounts() {
  const mounts = new Map<string, number>();
  const forget = (file: string): void => {
    const fd = mounts.get(file);
    if (fd !== undefined) closeFd(fd);
    mounts.delete(file);
  };
  return {
    /** A path to the tree in an image, for every process of this process's namespaces. @throws SyscallError */
    treeOf(file: string): string {
      const fd = mounts.get(file) ?? mountErofs(file);
      mounts.set(file, fd);
      return `/proc/${process.pid}/fd/${fd}`;
    },
    forget,
    close(): void {
      for (const file of [...mounts.keys()]) forget(file);
    },
  };
}
