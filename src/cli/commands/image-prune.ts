import { defineCommand } from '../command.ts';
import { confirm } from '../confirm.ts';
import { filtersOf, pruneFilterOption, withPruneFilters } from '../filters.ts';
import { flag } from '../options.ts';
import { writeOut } from '../output.ts';
import { humanSize } from '../units.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Remove unused images',
  aliases: ['image prune'],
  options: {
    all: flag('Remove all unused images, not just dangling ones', { short: 'a' }),
    filter: pruneFilterOption('Provide filter values (e.g. "until=<timestamp>")'),
    force: flag('Do not prompt for confirmation', { short: 'f' }),
  },
  args: [0, 0],
  async run({ engine, config }, { values }) {
    const which = values.all ? 'all images without at least one container associated to them' : 'all dangling images';
    if (!values.force && !(await confirm(`This will remove ${which}.`))) return 0;
    const { ImagesDeleted, SpaceReclaimed } = await engine.json<{
      ImagesDeleted: readonly { Untagged?: string; Deleted?: string }[] | null;
      SpaceReclaimed: number;
    }>('POST', '/images/prune', {
      query: {
        filters: filtersOf([
          ...withPruneFilters(values.filter, config.pruneFilters),
          ['dangling', values.all ? 'false' : 'true'],
        ]),
      },
    });
    if (ImagesDeleted !== null) writeOut('Deleted Images:\n');
    for (const { Untagged, Deleted } of ImagesDeleted ?? [])
      writeOut(Untagged === undefined ? `deleted: ${Deleted}\n` : `untagged: ${Untagged}\n`);
    writeOut(`${ImagesDeleted === null ? '' : '\n'}Total reclaimed space: ${humanSize(SpaceReclaimed)}\n`);
    return 0;
  },
});
