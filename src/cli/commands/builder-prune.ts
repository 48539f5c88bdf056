import { defineCommand } from '../command.ts';
import { Failure } from '../failure.ts';
import { filtersOf, pruneFilterOption } from '../filters.ts';
import { flag, value } from '../options.ts';
import { writeOut } from '../output.ts';
import { askLine } from '../prompt.ts';
import { isTerminal } from '../terminal.ts';
import { humanSize, parseBytes } from '../units.ts';

const size = (help: string) => value('bytes', parseBytes, help);

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Remove build cache',
  options: {
    all: flag('Remove cache mounts too, and not only the files of stages that no image is made of', { short: 'a' }),
    filter: pruneFilterOption('Provide filter values (until=24h, id=…, type=regular|exec.cachemount)'),
    force: flag('Do not prompt for confirmation', { short: 'f' }),
    'keep-storage': size('Amount of disk space to keep for cache'),
    'max-used-space': size('The same'),
  },
  args: [0, 0],
  async run({ engine }, { values }) {
    const what = values.all ? 'all build cache' : 'the build cache, except for cache mounts';
    if (!values.force) {
      if (!isTerminal(0)) throw new Failure('this asks for confirmation, and nobody can answer: give --force', 1);
      const answer = await askLine(`WARNING! This will remove ${what}. Are you sure you want to continue? [y/N] `, {
        echo: true,
      });
      if (!/^y(?:es)?$/i.test(answer.trim())) return 0;
    }
    const { CachesDeleted, SpaceReclaimed } = await engine.json<{
      CachesDeleted: readonly string[] | null;
      SpaceReclaimed: number;
    }>('POST', '/build/prune', {
      query: {
        all: values.all || undefined,
        filters: filtersOf(values.filter),
        'keep-storage': values['keep-storage'] ?? values['max-used-space'],
      },
    });
    for (const id of CachesDeleted ?? []) writeOut(`${id}\n`);
    writeOut(`Total reclaimed space: ${humanSize(SpaceReclaimed)}\n`);
    return 0;
  },
});
