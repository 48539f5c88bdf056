import type { HistoryRow } from '#client/index.ts';
import { defineCommand } from '../command.ts';
import { formatRows } from '../format.ts';
import { requirePlatform } from '../image-platform.ts';
import { flag, text } from '../options.ts';
import { writeOut } from '../output.ts';
import { ago, humanSize, localRfc3339 } from '../units.ts';

const headers = {
  ID: 'IMAGE',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  CreatedBy: 'CREATED BY',
  Size: 'SIZE',
  Comment: 'COMMENT',
};

export const command = defineCommand({
  usage: '[OPTIONS] IMAGE',
  summary: 'Show the history of an image',
  aliases: ['image history', 'history'],
  options: {
    format: text("Format output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    human: flag('Print sizes and dates in human readable format', { short: 'H', initial: true }),
    'no-trunc': flag("Don't truncate output"),
    platform: text('Show history for the given platform. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")'),
    quiet: flag('Only show image IDs', { short: 'q' }),
  },
  args: [1, 1],
  async run({ engine }, { values, args: [name = ''] }) {
    await requirePlatform(engine, name, values.platform);
    const history = await engine.json<readonly HistoryRow[]>('GET', `/images/${name}/history`);
    const short = !values['no-trunc'];
    const shownId = (id: string) => (short ? id.replace('sha256:', '').slice(0, 12) : id);
    if (values.quiet && values.format === '') {
      writeOut(history.map(({ Id }) => `${Id === '<missing>' ? Id : shownId(Id)}\n`).join(''));
      return 0;
    }
    const rows = history.map(({ Id, Created, CreatedBy, Size, Comment }) => {
      const by = CreatedBy.replaceAll('\t', ' ');
      return {
        ID: Id === '<missing>' ? Id : shownId(Id),
        CreatedSince: values.human
          ? Created <= 0
            ? 'N/A'
            : ago(Created)
          : localRfc3339(Created, 0).replace('.000000000', ''),
        CreatedAt: localRfc3339(Created, 0).replace('.000000000', ''),
        CreatedBy: short && [...by].length > 45 ? `${[...by].slice(0, 44).join('')}…` : by,
        Size: values.human ? humanSize(Size, 3) : String(Size),
        Comment,
      };
    });
    const columns = ['ID', 'CreatedSince', 'CreatedBy', 'Size', 'Comment'];
    writeOut(
      await formatRows(values.format, rows, {
        columns,
        headers: values.human ? headers : { ...headers, CreatedSince: 'CREATED AT' },
      }),
    );
    return 0;
  },
});
