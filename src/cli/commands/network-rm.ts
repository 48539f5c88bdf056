import { isGantryError } from '#errors/index.ts';
import { defineCommand } from '../command.ts';
import { forEachName } from '../for-each-name.ts';
import { flag } from '../options.ts';

export const command = defineCommand({
  usage: 'NETWORK [NETWORK...]',
  summary: 'Remove one or more networks',
  aliases: ['network rm', 'network remove'],
  options: { force: flag('Do not error if the network does not exist', { short: 'f' }) },
  args: [1, Number.POSITIVE_INFINITY],
  run: ({ engine }, { values, args }) =>
    forEachName(args, async (name) => {
      try {
        return await engine.json('DELETE', `/networks/${encodeURIComponent(name)}`);
      } catch (error) {
        // With --force a network that is not there is what was wanted.
        if (values.force && isGantryError(error, 'not-found')) return null;
        throw error;
      }
    }),
});
