import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Engine } from '../harness/engine.ts';

/** What an engine has on the host at a moment: two of them are compared to see what stayed behind. */
export interface Traces {
  /** Files and directories below its roots, without those of the database. */
  readonly files: readonly string[];
  readonly links: readonly string[];
  readonly mounts: readonly string[];
  readonly cgroups: readonly string[];
  /** Elements of its nftables sets and maps. */
  readonly elements: readonly string[];
  /** Processes that carry one of its roots on their command line, without the daemon and what stands by for it. */
  readonly processes: readonly string[];
}

export function tracesOf(engine: Engine, linkPrefix: string): Traces {
  return {
    files: ['data', 'run']
      .flatMap((part) => below(`${engine.root}/${part}`))
      .filter((path) => !/\.db(?:-\w+)?$/.test(path)),
    links: readdirSync('/sys/class/net').filter((name) => name.startsWith(linkPrefix)),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(engine.root))
      .map((line) => line.split(' ')[4] ?? ''),
    cgroups: readdirSync('/sys/fs/cgroup', { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) => below(`/sys/fs/cgroup/${entry.name}/gantry-${engine.bridge}`))
      .filter((path) => !path.includes('.') && !/\/(?:tasks|notify_on_release)$/.test(path)),
    elements: ['inet', 'bridge'].flatMap((family) => elementsOf(family, `gantry-${engine.bridge}`)),
    processes: readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== engine.pid())
      .flatMap((pid) => {
        const line = commandLine(pid);
        return line.includes(engine.root) && !line.includes('gantry-standby') ? [`${pid} ${line}`] : [];
      }),
  };
}

/** File descriptors that a process has open, each as what it is. */
export const openFiles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** Memory that a process has for itself, in bytes (proc_pid_smaps_rollup). */
export function ownMemory(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return (
    [...rollup.matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB$/gm)].reduce((sum, [, kB]) => sum + Number(kB), 0) * 1024
  );
}

function below(directory: string): readonly string[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => [
      `${directory}/${entry.name}`,
      ...(entry.isDirectory() ? below(`${directory}/${entry.name}`) : []),
    ]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function elementsOf(family: string, table: string): readonly string[] {
  const listed = execFileSync('nft', ['-j', 'list', 'table', family, table], { encoding: 'utf8' });
  const { nftables } = JSON.parse(listed) as {
    nftables: readonly Record<string, { name: string; elem?: readonly unknown[] }>[];
  };
  return nftables.flatMap((entry) => {
    const set = entry.set ?? entry.map;
    return (set?.elem ?? []).map((element) => `${family} ${set?.name} ${JSON.stringify(element)}`);
  });
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return ''; // it ended
  }
}
