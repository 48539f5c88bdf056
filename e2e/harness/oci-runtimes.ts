import { existsSync } from 'node:fs';
import { openCgroups } from '#linux/index.ts';

const busybox = '/usr/bin/busybox';

/** Why a runtime cannot be tried here. crun refuses a hybrid host, unless the test hides that (cgroup-v1-only.sh). */
export function reasonToSkip(path: string, { hidesHybrid = false } = {}): string | false {
  if (!existsSync(path) || !existsSync(busybox)) return `${path} or busybox is not installed`;
  if (path.endsWith('crun') && !hidesHybrid && openCgroups().layout === 'hybrid')
    return 'crun refuses a host with cgroup v1 and v2';
  return false;
}
