import { readFile } from 'node:fs/promises';
import type { Context } from './context.ts';
import type { ContainerStats, NetworkCounters } from './engine.ts';

/** /proc/PID/net/dev (proc_pid_net(5)): the interfaces of that process's network namespace, without the loopback. */
export function networkCountersOf(text: string): Readonly<Record<string, NetworkCounters>> {
  return Object.fromEntries(
    text.split('\n').flatMap((line): readonly (readonly [string, NetworkCounters])[] => {
      const [, name = '', rest = ''] = /^\s*([^:\s]+):\s*(.+)$/.exec(line) ?? [];
      const numbers = rest.trim().split(/\s+/).map(Number);
      if (name === '' || name === 'lo' || numbers.length < 16) return [];
      const four = (at: number) => {
        const [bytes = 0, packets = 0, errors = 0, dropped = 0] = numbers.slice(at, at + 4);
        return { bytes, packets, errors, dropped };
      };
      return [[name, { received: four(0), sent: four(8) }]];
    }),
  );
}

/** A running container's counters; see `Containers.stats`. */
export async function containerStats(context: Context, nameOrId: string): Promise<ContainerStats> {
  const { container, task } = context.runningTask(nameOrId);
  const stats = await task.stats();
  if (container.options.networkMode === 'host') return { ...stats, networks: {} };
  const text = await readFile(`/proc/${task.pid}/net/dev`, 'utf8').catch(() => ''); // it ended meanwhile
  // The pid may have become another's before the file was read, but not one's of this cgroup.
  const own = (await task.pids()).includes(task.pid);
  return { ...stats, networks: own ? networkCountersOf(text) : {} };
}
