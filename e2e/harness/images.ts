import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where images for tests are kept between runs. */
export const cacheDirectory = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'gantry');

/** A 2 MB root filesystem of Debian's static busybox as a tar: every applet, root and `ana` (1000) in passwd. */
export function busyboxRootfs(): Buffer {
  const tar = join(cacheDirectory, 'busybox-3.tar');
  if (!existsSync(tar)) {
    mkdirSync(cacheDirectory, { recursive: true });
    const root = mkdtempSync(join(tmpdir(), 'gantry-busybox-'));
    try {
      for (const directory of ['bin', 'etc', 'root', 'home/ana', 'usr/bin', 'var/www'])
        mkdirSync(`${root}/${directory}`, { recursive: true });
      mkdirSync(`${root}/tmp`);
      execFileSync('chmod', ['1777', `${root}/tmp`]);
      execFileSync('chmod', ['755', root]);
      copyFileSync('/usr/bin/busybox', `${root}/bin/busybox`);
      for (const applet of execFileSync('/usr/bin/busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n'))
        if (applet !== 'busybox') symlinkSync('busybox', `${root}/bin/${applet}`);
      writeFileSync(`${root}/etc/passwd`, 'root:x:0:0:root:/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\n');
      writeFileSync(`${root}/etc/group`, 'root:x:0:\nana:x:1000:\nstaff:x:50:ana\n');
      const temporary = `${tar}.${process.pid}`;
      execFileSync('tar', ['-C', root, '--sort=name', '--mtime=@0', '--owner=0', '--group=0', '-cf', temporary, '.']);
      renameSync(temporary, tar);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  }
  return readFileSync(tar);
}
