import { messageOf } from '#errors/index.ts';
import { defineCommand } from '../command.ts';
import { defaultContext, hostOverride } from '../context-endpoint.ts';
import { type Context, listContexts, readContext } from '../context-store.ts';
import { formatRows, type Row } from '../format.ts';
import { flag, text } from '../options.ts';
import { writeError, writeOut } from '../output.ts';

const headers = {
  Name: 'NAME',
  Current: 'CURRENT',
  Description: 'DESCRIPTION',
  DockerEndpoint: 'DOCKER ENDPOINT',
  Error: 'ERROR',
};

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'List contexts',
  aliases: ['context ls', 'context list'],
  options: {
    format: text("Format output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    quiet: flag('Only show context names', { short: 'q' }),
  },
  args: [0, 0],
  async run({ configDirectory: directory, contextName }, { values }) {
    const ours = { ...defaultContext(), Metadata: { Description: 'Current DOCKER_HOST based configuration' } };
    const stored: readonly Context[] = [...listContexts(directory), ours];
    const rows: Row[] = stored.map(({ Name, Metadata, Endpoints }) => ({
      Name,
      Current: Name === contextName,
      Description: Metadata.Description ?? '',
      DockerEndpoint: Endpoints.docker?.Host ?? '',
      Error: '',
    }));
    if (!stored.some(({ Name }) => Name === contextName))
      rows.push({
        Name: contextName,
        Current: true,
        Description: '',
        DockerEndpoint: '',
        Error: problemOf(directory, contextName),
      });
    rows.sort((a, b) => (String(a.Name) < String(b.Name) ? -1 : 1));
    if (values.quiet) {
      writeOut(rows.map(({ Name }) => `${Name}\n`).join(''));
      writeError(hostOverride('a context'));
      return 0;
    }
    const table = values.format === '' || values.format === 'table';
    const shown = table
      ? rows.map((row) => ({
          ...row,
          Name: `${row.Name}${row.Current === true ? ' *' : ''}`,
          Error: shortened(String(row.Error)),
        }))
      : rows;
    const columns = ['Name', 'Description', 'DockerEndpoint', 'Error'];
    writeOut(await formatRows(values.format, shown, { columns, headers }));
    writeError(hostOverride('a context'));
    return 0;
  },
});

function problemOf(directory: string, name: string): string {
  try {
    readContext(directory, name);
    return '';
  } catch (error) {
    return messageOf(error);
  }
}

const shortened = (words: string) => (words.length <= 45 ? words : `${words.slice(0, 44)}…`);
