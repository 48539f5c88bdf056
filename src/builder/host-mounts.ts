import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { check, closeFd, kernel } from '#linux/index.ts';

const AT_FDCWD = -100;
const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
const MOUNT_ATTR_PLAIN = 2 | 4 | 8; // nosuid, nodev, noexec
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MNT_DETACH = 2;

/** Attaches a detached mount to a new directory, so that a step can bind what is below it. The fd is closed. */
export async function attachMount(fd: number, path: string): Promise<AsyncDisposable> {
  try {
    await mkdir(path, { mode: 0o755 });
    check(kernel.call('move_mount', fd, '', AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH), 'move_mount', path);
  } finally {
    closeFd(fd);
  }
  return { [Symbol.asyncDispose]: async () => detachMount(path) };
}

/** An empty filesystem in memory, not attached yet; what is in it never reaches a disk of its own accord. */
export function memoryFilesystem(): number {
  const fs = check(kernel.call('fsopen', 'tmpfs', FSOPEN_CLOEXEC), 'fsopen', 'tmpfs');
  try {
    check(kernel.call('fsconfig', fs, FSCONFIG_SET_STRING, 'mode', '755', 0), 'fsconfig', 'mode');
    check(kernel.call('fsconfig', fs, FSCONFIG_CMD_CREATE, null, null, 0), 'fsconfig', 'creating the tmpfs');
    return check(kernel.call('fsmount', fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_PLAIN), 'fsmount', 'tmpfs');
  } finally {
    closeFd(fs);
  }
}

function detachMount(path: string): void {
  check(kernel.call('umount2', path, MNT_DETACH), 'umount2', path);
}

/** Unmounts what a crash left below a directory, last mounted first. */
export function detachAllBelow(directory: string): void {
  const mountpoints = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap(
      (line) =>
        line.split(' ')[4]?.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))) ?? [],
    )
    .filter((path) => path.startsWith(`${directory}/`));
  for (const path of mountpoints.reverse()) detachMount(path);
}
