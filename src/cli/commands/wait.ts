import type { WaitResult } from '#client/index.ts';
import { defineCommand } from '../command.ts';
import { forEachName } from '../for-each-name.ts';

export const command = defineCommand({
  usage: 'CONTAINER [CONTAINER...]',
  summary: 'Block until one or more containers stop, then print their exit codes',
  aliases: ['container wait', 'wait'],
  options: {},
  args: [1, Number.POSITIVE_INFINITY],
  run: ({ engine }, { args }) =>
    forEachName(args, async (name) => {
      const { StatusCode } = await engine.json<WaitResult>('POST', `/containers/${encodeURIComponent(name)}/wait`);
      return String(StatusCode);
    }),
});
