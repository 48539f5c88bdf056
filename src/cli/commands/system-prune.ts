import { defineCommand } from '../command.ts';
import { confirm } from '../confirm.ts';
import { filtersOf, pruneFilterOption, withPruneFilters } from '../filters.ts';
import { flag } from '../options.ts';
import { writeOut } from '../output.ts';
import { humanSize } from '../units.ts';

/** What each prune answers with; only its own lists are there. */
interface Pruned {
  readonly ContainersDeleted?: readonly string[] | null;
  readonly NetworksDeleted?: readonly string[] | null;
  readonly VolumesDeleted?: readonly string[] | null;
  readonly ImagesDeleted?: readonly { Untagged?: string; Deleted?: string }[] | null;
  readonly CachesDeleted?: readonly string[] | null;
  readonly SpaceReclaimed?: number;
}

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Remove unused data',
  aliases: ['system prune'],
  options: {
    all: flag('Remove all unused images not just dangling ones', { short: 'a' }),
    filter: pruneFilterOption('Provide filter values (e.g. "label=<key>=<value>")'),
    force: flag('Do not prompt for confirmation', { short: 'f' }),
    volumes: flag('Prune anonymous volumes'),
  },
  args: [0, 0],
  async run({ engine, config }, { values }) {
    const things = [
      'all stopped containers',
      'all networks not used by at least one container',
      ...(values.volumes ? ['all anonymous volumes not used by at least one container'] : []),
      values.all ? 'all images without at least one container associated to them' : 'all dangling images',
      values.all ? 'all build cache' : 'unused build cache',
    ];
    if (!values.force && !(await confirm(`This will remove:\n${things.map((t) => `  - ${t}\n`).join('')}`))) return 0;
    let reclaimed = 0;
    const prune = async (path: string, title: string, more: readonly (readonly [string, string])[], query = {}) => {
      const answer = await engine.json<Pruned>('POST', path, {
        query: { ...query, filters: filtersOf([...withPruneFilters(values.filter, config.pruneFilters), ...more]) },
      });
      reclaimed += answer.SpaceReclaimed ?? 0;
      const lines = [
        ...[answer.ContainersDeleted, answer.NetworksDeleted, answer.VolumesDeleted, answer.CachesDeleted].flatMap(
          (ids) => ids ?? [],
        ),
        ...(answer.ImagesDeleted ?? []).map(({ Untagged, Deleted }) =>
          Untagged === undefined ? `deleted: ${Deleted}` : `untagged: ${Untagged}`,
        ),
      ];
      if (lines.length > 0) writeOut(`${title}:\n${lines.map((line) => `${line}\n`).join('')}\n`);
    };
    await prune('/containers/prune', 'Deleted Containers', []);
    await prune('/networks/prune', 'Deleted Networks', []);
    if (values.volumes) await prune('/volumes/prune', 'Deleted Volumes', []);
    await prune('/images/prune', 'Deleted Images', [['dangling', values.all ? 'false' : 'true']]);
    const labelled = values.filter.some(([key]) => key !== 'until');
    if (!labelled) await prune('/build/prune', 'Deleted build cache objects', [], { all: values.all || undefined });
    writeOut(`Total reclaimed space: ${humanSize(reclaimed)}\n`);
    return 0;
  },
});
