import { familiarName, parseReference } from '#oci/index.ts';
import { defineCommand } from '../command.ts';
import { flag, list, text } from '../options.ts';
import { writeOut } from '../output.ts';

export const command = defineCommand({
  usage: '[OPTIONS] CONTAINER [REPOSITORY[:TAG]]',
  summary: "Create a new image from a container's changes",
  aliases: ['container commit', 'commit'],
  options: {
    author: text('Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")', { short: 'a' }),
    change: list('Apply Dockerfile instruction to the created image', { short: 'c' }),
    message: text('Commit message', { short: 'm' }),
    pause: flag('Pause container during commit', { short: 'p', initial: true }),
  },
  args: [1, 2],
  async run({ engine }, { values, args: [container = '', name] }) {
    const reference = name === undefined ? undefined : parseReference(name);
    const { Id } = await engine.json<{ Id: string }>('POST', '/commit', {
      query: {
        container,
        repo: reference === undefined ? undefined : familiarName(reference),
        tag: reference?.tag,
        author: values.author || undefined,
        comment: values.message || undefined,
        changes: values.change,
        pause: values.pause ? undefined : '0',
      },
    });
    writeOut(`${Id}\n`);
    return 0;
  },
});
