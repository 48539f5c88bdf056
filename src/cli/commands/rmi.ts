import { isGantryError } from '#errors/index.ts';
import { defineCommand } from '../command.ts';
import { errorText } from '../failure.ts';
import { requirePlatform } from '../image-platform.ts';
import { flag, list } from '../options.ts';
import { writeError, writeOut } from '../output.ts';

export const command = defineCommand({
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Remove one or more images',
  aliases: ['image rm', 'image remove', 'rmi'],
  options: {
    force: flag('Force removal of the image', { short: 'f' }),
    'no-prune': flag('Do not delete untagged parents'),
    platform: list('Remove only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")', {
      label: 'strings',
    }),
  },
  args: [1, Number.POSITIVE_INFINITY],
  async run({ engine }, { values, args }) {
    let failed = false;
    for (const name of args) {
      try {
        for (const platform of values.platform) await requirePlatform(engine, name, platform);
        const removed = await engine.json<readonly { Untagged?: string; Deleted?: string }[]>(
          'DELETE',
          `/images/${name}`,
          {
            query: { force: values.force || undefined, noprune: values['no-prune'] || undefined },
          },
        );
        for (const { Untagged, Deleted } of removed)
          writeOut(Deleted === undefined ? `Untagged: ${Untagged}\n` : `Deleted: ${Deleted}\n`);
      } catch (error) {
        // With --force an image that is not there is what was wanted.
        if (!(values.force && isGantryError(error, 'not-found'))) failed = true;
        writeError(`${errorText(error)}\n`);
      }
    }
    return failed ? 1 : 0;
  },
});
