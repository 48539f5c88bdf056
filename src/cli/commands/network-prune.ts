import { defineCommand } from '../command.ts';
import { confirm } from '../confirm.ts';
import { filtersOf, pruneFilterOption, withPruneFilters } from '../filters.ts';
import { flag } from '../options.ts';
import { writeOut } from '../output.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Remove all unused networks',
  aliases: ['network prune'],
  options: {
    filter: pruneFilterOption('Provide filter values (e.g. "until=<timestamp>")'),
    force: flag('Do not prompt for confirmation', { short: 'f' }),
  },
  args: [0, 0],
  async run({ engine, config }, { values }) {
    if (!values.force && !(await confirm('This will remove all custom networks not used by at least one container.')))
      return 0;
    const { NetworksDeleted } = await engine.json<{ NetworksDeleted: readonly string[] | null }>(
      'POST',
      '/networks/prune',
      { query: { filters: filtersOf(withPruneFilters(values.filter, config.pruneFilters)) } },
    );
    const names = NetworksDeleted ?? [];
    if (names.length > 0) writeOut(`Deleted Networks:\n${names.map((name) => `${name}\n`).join('')}\n`);
    return 0;
  },
});
