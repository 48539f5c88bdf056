import type { VolumeSummary } from '#client/index.ts';
import { defineCommand } from '../command.ts';
import { filterOption, filtersOf } from '../filters.ts';
import { formatRows } from '../format.ts';
import { flag, text, unsupported } from '../options.ts';
import { writeOut } from '../output.ts';

const headers = { Driver: 'DRIVER', Name: 'VOLUME NAME', Scope: 'SCOPE', Mountpoint: 'MOUNTPOINT', Labels: 'LABELS' };

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'List volumes',
  aliases: ['volume ls', 'volume list'],
  options: {
    cluster: unsupported('Display only cluster volumes', ''),
    filter: filterOption('Provide filter values (e.g. "dangling=true")'),
    format: text("Format output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    quiet: flag('Only display volume names', { short: 'q' }),
  },
  args: [0, 0],
  async run({ engine, config }, { values }) {
    const format = values.format || (values.quiet ? '' : (config.volumesFormat ?? ''));
    const { Volumes } = await engine.json<{ Volumes: readonly VolumeSummary[] | null }>('GET', '/volumes', {
      query: { filters: filtersOf(values.filter) },
    });
    const volumes = (Volumes ?? []).toSorted((a, b) => (a.Name < b.Name ? -1 : 1));
    if (values.quiet && format === '') {
      writeOut(volumes.map(({ Name }) => `${Name}\n`).join(''));
      return 0;
    }
    const rows = volumes.map(({ Driver, Name, Scope, Mountpoint, Labels }) => ({
      Driver,
      Name,
      Scope,
      Mountpoint,
      Labels: Object.entries(Labels ?? {})
        .map(([key, value]) => `${key}=${value}`)
        .toSorted()
        .join(','),
    }));
    writeOut(await formatRows(format, rows, { columns: ['Driver', 'Name'], headers }));
    return 0;
  },
});
