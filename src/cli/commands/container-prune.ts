import { defineCommand } from '../command.ts';
import { confirm } from '../confirm.ts';
import { filtersOf, pruneFilterOption, withPruneFilters } from '../filters.ts';
import { flag } from '../options.ts';
import { writeOut } from '../output.ts';
import { humanSize } from '../units.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Remove all stopped containers',
  options: {
    filter: pruneFilterOption('Provide filter values (e.g. "until=<timestamp>")'),
    force: flag('Do not prompt for confirmation', { short: 'f' }),
  },
  args: [0, 0],
  async run({ engine, config }, { values }) {
    if (!values.force && !(await confirm('This will remove all stopped containers.'))) return 0;
    const { ContainersDeleted, SpaceReclaimed } = await engine.json<{
      ContainersDeleted: readonly string[] | null;
      SpaceReclaimed: number;
    }>('POST', '/containers/prune', {
      query: { filters: filtersOf(withPruneFilters(values.filter, config.pruneFilters)) },
    });
    const ids = ContainersDeleted ?? [];
    if (ids.length > 0) writeOut(`Deleted Containers:\n${ids.map((id) => `${id}\n`).join('')}\n`);
    writeOut(`Total reclaimed space: ${humanSize(SpaceReclaimed)}\n`);
    return 0;
  },
});
