import { defineCommand } from '../command.ts';
import { errorText, Failure } from '../failure.ts';

export const command = defineCommand({
  usage: 'CONTAINER NEW_NAME',
  summary: 'Rename a container',
  aliases: ['container rename', 'rename'],
  options: {},
  args: [2, 2],
  async run({ engine }, { args: [from = '', to = ''] }) {
    if (from.trim() === '' || to.trim() === '') throw new Failure('Error: Neither old nor new names may be empty', 1);
    try {
      await engine.json('POST', `/containers/${encodeURIComponent(from)}/rename`, { query: { name: to } });
      return 0;
    } catch (error) {
      throw new Failure(`${errorText(error)}\nError: failed to rename container named ${from}`, 1);
    }
  },
});
