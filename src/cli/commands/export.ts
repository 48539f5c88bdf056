import { defineCommand } from '../command.ts';
import { text } from '../options.ts';
import { saveBody } from '../save-body.ts';

export const command = defineCommand({
  usage: '[OPTIONS] CONTAINER',
  summary: "Export a container's filesystem as a tar archive",
  aliases: ['container export', 'export'],
  options: { output: text('Write to a file, instead of STDOUT', { short: 'o' }) },
  args: [1, 1],
  run: ({ engine }, { values, args: [name = ''] }) =>
    saveBody(() => engine.stream('GET', `/containers/${encodeURIComponent(name)}/export`), values.output, 'export'),
});
