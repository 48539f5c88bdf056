import { defineCommand } from '../command.ts';
import { forEachName } from '../for-each-name.ts';

export const command = defineCommand({
  usage: 'CONTAINER [CONTAINER...]',
  summary: 'Pause all processes within one or more containers',
  aliases: ['container pause', 'pause'],
  options: {},
  args: [1, Number.POSITIVE_INFINITY],
  run: ({ engine }, { args }) =>
    forEachName(args, (name) => engine.json('POST', `/containers/${encodeURIComponent(name)}/pause`)),
});
