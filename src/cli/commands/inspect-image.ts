import { defineCommand } from '../command.ts';
import { inspectObjects } from '../inspect-objects.ts';
import { text } from '../options.ts';

export const command = defineCommand({
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Display detailed information on one or more images',
  options: { format: text("Format output: 'json' or a Go template", { short: 'f' }) },
  args: [1, Number.POSITIVE_INFINITY],
  run: ({ engine }, { values, args }) => inspectObjects(engine, args, { kinds: ['image'], format: values.format }),
});
