import { defineCommand } from '../command.ts';
import { confirm } from '../confirm.ts';
import { filtersOf, pruneFilterOption, withPruneFilters } from '../filters.ts';
import { flag } from '../options.ts';
import { writeOut } from '../output.ts';
import { humanSize } from '../units.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Remove unused local volumes',
  aliases: ['volume prune'],
  options: {
    all: flag('Remove all unused volumes, not just anonymous ones', { short: 'a' }),
    filter: pruneFilterOption('Provide filter values (e.g. "label=<label>")'),
    force: flag('Do not prompt for confirmation', { short: 'f' }),
  },
  args: [0, 0],
  async run({ engine, config }, { values }) {
    const which = values.all ? 'all' : 'anonymous';
    if (
      !values.force &&
      !(await confirm(`This will remove ${which} local volumes not used by at least one container.`))
    )
      return 0;
    const { VolumesDeleted, SpaceReclaimed } = await engine.json<{
      VolumesDeleted: readonly string[] | null;
      SpaceReclaimed: number;
    }>('POST', '/volumes/prune', {
      query: {
        filters: filtersOf([
          ...withPruneFilters(values.filter, config.pruneFilters),
          ...(values.all ? [['all', 'true'] as const] : []),
        ]),
      },
    });
    const names = VolumesDeleted ?? [];
    if (names.length > 0) writeOut(`Deleted Volumes:\n${names.map((name) => `${name}\n`).join('')}\n`);
    writeOut(`Total reclaimed space: ${humanSize(SpaceReclaimed)}\n`);
    return 0;
  },
});
