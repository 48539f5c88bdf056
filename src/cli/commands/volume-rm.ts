import { isGantryError } from '#errors/index.ts';
import { defineCommand } from '../command.ts';
import { forEachName } from '../for-each-name.ts';
import { flag } from '../options.ts';

export const command = defineCommand({
  usage: '[OPTIONS] VOLUME [VOLUME...]',
  summary: 'Remove one or more volumes. You cannot remove a volume that is in use by a container.',
  aliases: ['volume rm', 'volume remove'],
  options: { force: flag('Force the removal of one or more volumes', { short: 'f' }) },
  args: [1, Number.POSITIVE_INFINITY],
  run: ({ engine }, { values, args }) =>
    forEachName(args, async (name) => {
      try {
        return await engine.json('DELETE', `/volumes/${encodeURIComponent(name)}`, {
          query: { force: values.force || undefined },
        });
      } catch (error) {
        // With --force a volume that is not there is what was wanted.
        if (values.force && isGantryError(error, 'not-found')) return undefined;
        throw error;
      }
    }),
});
