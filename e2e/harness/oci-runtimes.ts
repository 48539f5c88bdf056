import { existsSync, readFileSync } from 'node:fs';
import { openCgroups } from '#linux/index.ts';

const busybox = '/usr/bin/busybox';

/** Why a runtime cannot be tried here. */
export function reasonToSkip(path: string): string | false {
  if (!existsSync(path) || !existsSync(busybox)) return `${path} or busybox is not installed`;
  const { layout, hierarchies } = openCgroups();
  const unified = hierarchies.find(({ version }) => version === 2)?.mountpoint;
  const controllers = unified === undefined ? '' : readFileSync(`${unified}/cgroup.controllers`, 'utf8');
  if (path.endsWith('crun') && layout === 'hybrid' && controllers.trim() !== '')
    return `crun refuses a hybrid host whose cgroup v2 has controllers, here ${controllers.trim()}`;
  return false;
}
