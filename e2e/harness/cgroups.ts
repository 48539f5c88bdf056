import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';

/** The directories of a cgroup, one in each v1 hierarchy and v2's, where they are. */
export function cgroupDirectories(path: string): readonly string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => `${line.split(' ')[4]}${path}`);
  return mounts.filter((directory) => existsSync(directory));
}

function removeTree(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(`${directory}/${entry.name}`);
  rmdirSync(directory);
}

/** Removes a cgroup with those below it, in every hierarchy: engines leave the parents behind that they were told to use. */
export function removeCgroup(path: string): void {
  for (const directory of cgroupDirectories(path)) removeTree(directory);
}
