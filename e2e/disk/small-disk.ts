import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** A small ext4 of its own, in a file of this machine. */
export interface SmallDisk extends Disposable {
  readonly path: string;
  /** What the kernel does when it finds the disk broken: from now on nothing can be written. */
  break(): void;
  /** As after a start of the machine: mounted anew, checked before. @throws Error "busy" while something uses it: again then */
  repair(): void;
}

const run = (program: string, ...args: readonly string[]) =>
  execFileSync(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });

/** Why no such disk can be made here; false where it can. */
export function reasonToSkip(): string | false {
  if (spawnSync('mkfs.ext4', ['-V']).error) return 'no mkfs.ext4';
  return spawnSync('losetup', ['-f']).status !== 0 && 'no loop device is free';
}

export function smallDisk(megabytes: number): SmallDisk {
  const folder = mkdtempSync('/var/tmp/gantry-disk-');
  const image = join(folder, 'image');
  const path = join(folder, 'disk');
  run('truncate', '-s', `${megabytes}M`, image);
  // No blocks kept back for root: it is full for us too. Small inodes' table and journal, so that files find room.
  run('mkfs.ext4', '-q', '-F', '-m', '0', '-J', 'size=4', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image);
  const mount = () => {
    run('mkdir', '-p', path);
    run('mount', '-o', 'loop,errors=remount-ro', image, path);
  };
  const device = () => run('findmnt', '-no', 'SOURCE', path).toString().trim().replace('/dev/', '');
  const unmount = () => run('umount', path);
  mount();
  return {
    path,
    break: () => run('sh', '-c', `echo 1 > /sys/fs/ext4/${device()}/trigger_fs_error`),
    repair() {
      if (spawnSync('mountpoint', ['-q', path]).status === 0) unmount();
      // Mount namespaces of processes that were killed hold it a little longer than they live.
      if (run('losetup', '-j', image).length > 0) throw new Error('busy: its loop device is still in use');
      // 1: what was wrong is mended (fsck(8)).
      const { status, stdout } = spawnSync('e2fsck', ['-fy', image], { encoding: 'utf8' });
      if (status !== 0 && status !== 1) throw new Error(`e2fsck ended with ${status}: ${stdout}`);
      mount();
    },
    [Symbol.dispose]() {
      // What a failed test left running would hold it.
      for (const pid of usersOf(path)) process.kill(pid, 'SIGKILL');
      spawnSync('umount', ['-l', path]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Processes that have a file of this disk open, or live on it in a mount namespace of their own. */
function usersOf(path: string): readonly number[] {
  const links = (pid: string) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    } catch {
      return []; // it ended
    }
  };
  const inside = (pid: string) => {
    try {
      return (
        readlinkSync(`/proc/${pid}/ns/mnt`) !== readlinkSync('/proc/self/ns/mnt') &&
        readFileSync(`/proc/${pid}/mountinfo`, 'utf8').includes(`${path}/`)
      );
    } catch {
      return false; // it ended
    }
  };
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .filter((pid) => inside(pid) || links(pid).some((target) => target.startsWith(`${path}/`)))
    .map(Number);
}
