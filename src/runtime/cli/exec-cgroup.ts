import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import { GantryError } from '#errors/index.ts';
import type { Cgroup, Cgroups } from '#linux/index.ts';

function subdirectory(directory: string, below: string, asked: string): string {
  const path = posix.normalize(`/${below}`);
  const found = path === '/' ? directory : `${directory}${path}`;
  if (path.split('/').includes('..') || !existsSync(`${found}/cgroup.procs`))
    throw new GantryError('not-found', `--cgroup ${asked}: there is no cgroup ${found}`);
  return found;
}

/**
 * The cgroup that a process of `exec` joins: the container's own, or one below it.
 * @param asked `PATH`, or `CONTROLLER[,CONTROLLER]:PATH` for single v1 hierarchies; a path begins at the container's cgroup
 * @throws GantryError invalid, or not-found where there is no such cgroup
 */
export function execCgroup(cgroups: Cgroups, directories: readonly string[], asked: readonly string[]): Cgroup {
  let chosen = [...directories];
  for (const word of asked) {
    const [path = '', controllers] = word.split(':').reverse();
    const names = controllers?.split(',');
    const known = cgroups.hierarchies.flatMap((hierarchy) => hierarchy.controllers.split(','));
    for (const name of names ?? [])
      if (!known.includes(name)) throw new GantryError('invalid', `--cgroup ${word}: there is no controller "${name}"`);
    const wanted = cgroups.hierarchies.filter((hierarchy) => {
      const held = hierarchy.controllers.split(',');
      return names === undefined || names.some((name) => held.includes(name));
    });
    chosen = chosen.map((directory, at) => {
      const isWanted = wanted.some(({ mountpoint }) => directory.startsWith(`${mountpoint}/`));
      return isWanted ? subdirectory(directories[at] ?? directory, path, word) : directory;
    });
  }
  return cgroups.at(chosen);
}
