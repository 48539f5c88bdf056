import { defineCommand } from '../command.ts';
import { forEachName } from '../for-each-name.ts';
import { integer, text } from '../options.ts';

export const command = defineCommand({
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Stop one or more running containers',
  aliases: ['container stop', 'stop'],
  options: {
    signal: text('Signal to send to the container', { short: 's' }),
    time: integer('Seconds to wait before killing the container', { hidden: true }),
    timeout: integer('Seconds to wait before killing the container', { short: 't' }),
  },
  args: [1, Number.POSITIVE_INFINITY],
  run: ({ engine }, { values, args }) =>
    forEachName(args, (name) =>
      engine.json('POST', `/containers/${encodeURIComponent(name)}/stop`, {
        query: { t: values.timeout ?? values.time, signal: values.signal || undefined },
      }),
    ),
});
