import { defineCommand } from '../command.ts';
import { text, unsupported } from '../options.ts';
import { saveBody } from '../save-body.ts';

export const command = defineCommand({
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Save one or more images to a tar archive (streamed to STDOUT by default)',
  aliases: ['image save', 'save'],
  options: { output: text('Write to a file, instead of STDOUT', { short: 'o' }), platform: unsupported() },
  args: [1, Number.POSITIVE_INFINITY],
  run: ({ engine }, { values, args }) =>
    saveBody(() => engine.stream('GET', '/images/get', { query: { names: args } }), values.output, 'save'),
});
