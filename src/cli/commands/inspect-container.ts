import { defineCommand } from '../command.ts';
import { inspectObjects } from '../inspect-objects.ts';
import { flag, text } from '../options.ts';

export const command = defineCommand({
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Display detailed information on one or more containers',
  options: {
    format: text("Format output: 'json' or a Go template", { short: 'f' }),
    size: flag('Display total file sizes', { short: 's' }),
  },
  args: [1, Number.POSITIVE_INFINITY],
  run: ({ engine }, { values, args }) => inspectObjects(engine, args, { kinds: ['container'], ...values }),
});
