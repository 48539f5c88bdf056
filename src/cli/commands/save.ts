import { defineCommand } from '../command.ts';
import { requirePlatform } from '../image-platform.ts';
import { text } from '../options.ts';
import { saveBody } from '../save-body.ts';

export const command = defineCommand({
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Save one or more images to a tar archive (streamed to STDOUT by default)',
  aliases: ['image save', 'save'],
  options: {
    output: text('Write to a file, instead of STDOUT', { short: 'o' }),
    platform: text('Save only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")'),
  },
  args: [1, Number.POSITIVE_INFINITY],
  async run({ engine }, { values, args }) {
    for (const name of args) await requirePlatform(engine, name, values.platform);
    return await saveBody(() => engine.stream('GET', '/images/get', { query: { names: args } }), values.output, 'save');
  },
});
