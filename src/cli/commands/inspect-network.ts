import { defineCommand } from '../command.ts';
import { inspectObjects } from '../inspect-objects.ts';
import { flag, text } from '../options.ts';

export const command = defineCommand({
  usage: '[OPTIONS] NETWORK [NETWORK...]',
  summary: 'Display detailed information on one or more networks',
  options: {
    format: text("Format output: 'json' or a Go template", { short: 'f' }),
    verbose: flag('Verbose output for diagnostics', { short: 'v' }),
  },
  args: [1, Number.POSITIVE_INFINITY],
  run: ({ engine }, { values, args }) => inspectObjects(engine, args, { kinds: ['network'], ...values }),
});
