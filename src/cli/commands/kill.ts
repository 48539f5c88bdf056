import { defineCommand } from '../command.ts';
import { forEachName } from '../for-each-name.ts';
import { text } from '../options.ts';

export const command = defineCommand({
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Kill one or more running containers',
  aliases: ['container kill', 'kill'],
  options: { signal: text('Signal to send to the container', { short: 's' }) },
  args: [1, Number.POSITIVE_INFINITY],
  run: ({ engine }, { values, args }) =>
    forEachName(args, (name) =>
      engine.json('POST', `/containers/${encodeURIComponent(name)}/kill`, {
        query: { signal: values.signal || undefined },
      }),
    ),
});
