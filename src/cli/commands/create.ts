import { defineCommand } from '../command.ts';
import { attachedStreams } from '../container-body.ts';
import { containerOptions } from '../container-options.ts';
import { createContainer } from '../create-container.ts';
import { writeOut } from '../output.ts';

export const command = defineCommand({
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  summary: 'Create a new container',
  aliases: ['container create', 'create'],
  options: containerOptions,
  args: [1, Number.POSITIVE_INFINITY],
  stopAtFirst: true,
  async run(context, flags) {
    writeOut(`${await createContainer(context, flags, attachedStreams(flags))}\n`);
    return 0;
  },
});
