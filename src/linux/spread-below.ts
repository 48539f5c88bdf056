import { closeFd, openDirectory } from './files.ts';
import { check, kernel } from './kernel.ts';

const FS_IOC_GETFLAGS = 0x80086601;
const FS_IOC_SETFLAGS = 0x40086602;
const FS_TOPDIR_FL = 0x00020000;
const [ENOTTY, EOPNOTSUPP] = [25, 95];

/**
 * Tells ext4 that what is made in a directory has nothing to do with each other (chattr +T), so that each new tree there
 * begins in a part of the disk of its own. Next to trees that were just removed, ext4 looks at each of their inodes again for
 * every new file, for minutes. Other file systems know no such flag, and nothing happens there. @throws SyscallError
 */
export function spreadBelow(directory: string): void {
  const fd = openDirectory(directory);
  try {
    const flags = Buffer.alloc(8);
    const got = kernel.call('ioctl', fd, FS_IOC_GETFLAGS, flags);
    if (got === -ENOTTY || got === -EOPNOTSUPP) return;
    check(got, 'ioctl', directory);
    flags.writeUInt32LE(flags.readUInt32LE(0) | FS_TOPDIR_FL, 0);
    const set = kernel.call('ioctl', fd, FS_IOC_SETFLAGS, flags);
    if (set !== -ENOTTY && set !== -EOPNOTSUPP) check(set, 'ioctl', directory);
  } finally {
    closeFd(fd);
  }
}
