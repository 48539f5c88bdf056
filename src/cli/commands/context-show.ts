import { defineCommand } from '../command.ts';
import { writeOut } from '../output.ts';

export const command = defineCommand({
  usage: '',
  summary: 'Print the name of the current context',
  options: {},
  args: [0, 0],
  async run({ contextName }) {
    writeOut(`${contextName}\n`);
    return 0;
  },
});
