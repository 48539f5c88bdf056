import { isGantryError } from '#errors/index.ts';
import { defineCommand } from '../command.ts';
import { errorText } from '../failure.ts';
import { forEachName } from '../for-each-name.ts';
import { flag, unsupported } from '../options.ts';
import { writeError } from '../output.ts';

export const command = defineCommand({
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Remove one or more containers',
  aliases: ['container rm', 'container remove', 'rm'],
  options: {
    force: flag('Force the removal of a running container (uses SIGKILL)', { short: 'f' }),
    link: unsupported('Remove the specified link', '', { short: 'l' }),
    volumes: flag('Remove anonymous volumes associated with the container', { short: 'v' }),
  },
  args: [1, Number.POSITIVE_INFINITY],
  run: ({ engine }, { values, args }) =>
    forEachName(args, async (name) => {
      try {
        return await engine.json('DELETE', `/containers/${encodeURIComponent(name)}`, {
          query: { force: values.force || undefined, v: values.volumes || undefined },
        });
      } catch (error) {
        // With --force one that is not there is what was wanted: told, and no failure.
        if (!(values.force && isGantryError(error, 'not-found'))) throw error;
        writeError(`${errorText(error)}\n`);
        return null;
      }
    }),
});
