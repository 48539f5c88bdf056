import { setTimeout as delay } from 'node:timers/promises';
import { GantryError } from '#errors/index.ts';
import { openCgroups } from '#linux/index.ts';
import { exactJson } from '#oci/index.ts';
import { readCgroupReport } from '../cgroup-report.ts';
import { statusOf } from './container-process.ts';
import { readState } from './container-state.ts';
import { type Command, print } from './context.ts';

/** How often the end of the container and its OOM kills are looked for, in milliseconds. */
const LOOK = 200;

/** A duration as Go writes it (`5s`, `1m30s`, `250ms`), in milliseconds. @throws GantryError invalid */
function duration(given: string): number {
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  const parts = [...given.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  const value = parts.reduce((sum, [, count, unit = '']) => sum + Number(count) * (units[unit] ?? 0), 0);
  if (parts.map(([whole]) => whole).join('') !== given || value <= 0)
    throw new GantryError('invalid', `--interval ${given}: give a duration above 0, like 5s or 500ms`);
  return value;
}

/** One JSON line each, as runc's: `{"type":"stats","id":…,"data":…}`, `{"type":"oom","id":…}`. */
export const events: Command = {
  options: { stats: { kind: 'flag' }, interval: { kind: 'text' } },
  words: [1, 1],
  usage: 'events [--stats] [--interval 5s] ID',
  about: 'print what a container uses, and its out-of-memory kills, until it ends; with --stats, once',
  async run({ root, id, options }) {
    const interval = duration(options.text('interval') ?? '5s');
    const state = readState(root, id);
    if (statusOf(root, state) === 'stopped')
      throw new GantryError('conflict', `container not running: ${id} is stopped`, { code: 'not-running' });
    const cgroups = openCgroups();
    const cgroup = cgroups.at(state.cgroup);
    const line = (type: string, data?: unknown) =>
      print(`${exactJson({ type, id, ...(data === undefined ? {} : { data }) })}\n`);
    const stats = () => line('stats', readCgroupReport(cgroups, state.cgroup));
    if (options.flag('stats')) {
      stats();
      return 0;
    }
    let kills = cgroup.oomKills();
    for (let next = performance.now() + interval; statusOf(root, state) !== 'stopped'; ) {
      await delay(Math.min(LOOK, interval));
      const now = cgroup.oomKills();
      for (; kills < now; kills++) line('oom');
      if (performance.now() < next || statusOf(root, state) === 'stopped') continue;
      stats();
      next = performance.now() + interval;
    }
    return 0;
  },
};
