import type { NetworkSummary } from '#client/index.ts';
import { defineCommand } from '../command.ts';
import { filterOption, filtersOf } from '../filters.ts';
import { formatRows } from '../format.ts';
import { flag, text } from '../options.ts';
import { writeOut } from '../output.ts';
import { goTime } from '../units.ts';

const headers = {
  ID: 'NETWORK ID',
  Name: 'NAME',
  Driver: 'DRIVER',
  Scope: 'SCOPE',
  CreatedAt: 'CREATED AT',
  Labels: 'LABELS',
  IPv4: 'IPV4',
  IPv6: 'IPV6',
  Internal: 'INTERNAL',
};

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'List networks',
  aliases: ['network ls', 'network list'],
  options: {
    filter: filterOption('Provide filter values (e.g. "driver=bridge")'),
    format: text("Format output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    'no-trunc': flag('Do not truncate the output'),
    quiet: flag('Only display network IDs', { short: 'q' }),
  },
  args: [0, 0],
  async run({ engine, config }, { values }) {
    const format = values.format || (values.quiet ? '' : (config.networksFormat ?? ''));
    const listed = await engine.json<readonly NetworkSummary[]>('GET', '/networks', {
      query: { filters: filtersOf(values.filter) },
    });
    const networks = listed.toSorted((a, b) => (a.Name < b.Name ? -1 : 1));
    const shown = ({ Id }: NetworkSummary) => (values['no-trunc'] ? Id : Id.slice(0, 12));
    if (values.quiet && format === '') {
      writeOut(networks.map((network) => `${shown(network)}\n`).join(''));
      return 0;
    }
    const rows = networks.map((network) => ({
      ID: shown(network),
      Name: network.Name,
      Driver: network.Driver,
      Scope: network.Scope,
      CreatedAt: goTimestamp(network.Created),
      Labels: Object.entries(network.Labels ?? {})
        .map(([key, value]) => `${key}=${value}`)
        .toSorted()
        .join(','),
      IPv4: String(network.EnableIPv4 ?? true),
      IPv6: String(network.EnableIPv6 ?? false),
      Internal: String(network.Internal ?? false),
    }));
    writeOut(await formatRows(format, rows, { columns: ['ID', 'Name', 'Driver', 'Scope'], headers }));
    return 0;
  },
});

/** RFC 3339 as Go prints a time: `2026-11-25 02:26:58.421 +0000 UTC`, with the fraction that is there. */
function goTimestamp(rfc3339: string): string {
  const [, fraction = ''] = /(\.\d*?[1-9])0*(?:Z|[+-])/.exec(rfc3339) ?? [];
  const seconds = Math.floor(Date.parse(rfc3339) / 1000);
  return goTime(seconds).replace(/:\d\d /, (clock) => `${clock.trimEnd()}${fraction} `);
}
