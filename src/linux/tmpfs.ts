import { check, kernel } from './kernel.ts';

const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const [ENOENT, EINVAL] = [2, 22];

/** Mounts a memory filesystem in this process's own namespace, for what is to be shared by path; see `unmount`. @throws SyscallError */
export function mountTmpfs(path: string, options: { readonly sizeBytes: number; readonly mode: number }): void {
  const data = `size=${options.sizeBytes},mode=${options.mode.toString(8)}`;
  check(kernel.call('mount', 'tmpfs', path, 'tmpfs', MS_NOSUID | MS_NODEV | MS_NOEXEC, data), 'mount', path);
}

/** Takes a mount away, at once for those who come and for others when they are done; nothing where none is. @throws SyscallError */
export function unmount(path: string): void {
  const result = kernel.call('umount2', path, MNT_DETACH | UMOUNT_NOFOLLOW);
  if (result !== -ENOENT && result !== -EINVAL) check(result, 'umount2', path);
}
