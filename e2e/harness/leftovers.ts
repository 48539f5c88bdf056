import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** What of a daemon with these roots and this bridge is still in the kernel: each line names one thing. */
export function leftovers(root: string, bridge: string): readonly string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(root))
    .map((line) => `mount ${line.split(' ')[4]}`);
  const links = readdirSync('/sys/class/net')
    .filter((name) => name === bridge)
    .map((name) => `link ${name}`);
  const listed = existsSync('/usr/sbin/nft') ? execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }) : '';
  const tables = listed.split('\n').filter((line) => line.endsWith(`gantry-${bridge}`));
  const cgroups = cgroupsNamed(`gantry-${bridge}`).map((path) => `cgroup ${path}`);
  const processes = readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(root);
      } catch {
        return false; // it ended
      }
    })
    .filter((pid) => Number(pid) !== process.pid)
    .map((pid) => `process ${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`);
  return [...mounts, ...links, ...tables, ...cgroups, ...processes];
}

/** Directories of this name within four levels of any cgroup hierarchy. */
function cgroupsNamed(name: string, directory = '/sys/fs/cgroup', depth = 4): readonly string[] {
  if (depth === 0) return [];
  return entriesOf(directory)
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) =>
      entry.name === name
        ? [`${directory}/${entry.name}`]
        : cgroupsNamed(name, `${directory}/${entry.name}`, depth - 1),
    );
}

/** Others' cgroups come and go meanwhile. */
function entriesOf(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
