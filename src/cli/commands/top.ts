import { defineCommand } from '../command.ts';
import { writeOut } from '../output.ts';
import { layOutTable } from '../table.ts';

export const command = defineCommand({
  usage: 'CONTAINER [ps OPTIONS]',
  summary: 'Display the running processes of a container',
  aliases: ['container top', 'top'],
  options: {},
  args: [1, Number.POSITIVE_INFINITY],
  stopAtFirst: true,
  async run({ engine }, { args: [name = '', ...psArgs] }) {
    const { Titles, Processes } = await engine.json<{
      Titles: readonly string[];
      Processes: readonly (readonly string[])[];
    }>('GET', `/containers/${encodeURIComponent(name)}/top`, {
      query: { ps_args: psArgs.length === 0 ? undefined : psArgs.join(' ') },
    });
    writeOut(
      layOutTable(
        [Titles, ...Processes].map((row) => row.join('\t')),
        { minWidth: 20 },
      ),
    );
    return 0;
  },
});
