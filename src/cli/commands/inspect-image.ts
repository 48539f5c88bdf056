import { defineCommand } from '../command.ts';
import { requirePlatform } from '../image-platform.ts';
import { inspectObjects } from '../inspect-objects.ts';
import { text } from '../options.ts';

export const command = defineCommand({
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Display detailed information on one or more images',
  options: {
    format: text("Format output: 'json' or a Go template", { short: 'f' }),
    platform: text(
      'Inspect a specific platform of the multi-platform image. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
    ),
  },
  args: [1, Number.POSITIVE_INFINITY],
  async run({ engine }, { values, args }) {
    for (const name of args) await requirePlatform(engine, name, values.platform);
    return await inspectObjects(engine, args, { kinds: ['image'], format: values.format });
  },
});
