import { parseReference } from '#oci/index.ts';
import { defineCommand } from '../command.ts';
import { Failure } from '../failure.ts';
import { flag, unsupported } from '../options.ts';
import { writeOut } from '../output.ts';
import { pushImage } from '../push-image.ts';

export const command = defineCommand({
  usage: '[OPTIONS] NAME[:TAG]',
  summary: 'Upload an image to a registry',
  aliases: ['image push', 'push'],
  options: {
    'all-tags': unsupported('', { short: 'a' }),
    'disable-content-trust': unsupported(''),
    platform: unsupported(),
    quiet: flag('Suppress verbose output', { short: 'q' }),
  },
  args: [1, 1],
  async run(context, { values, args: [name = ''] }) {
    const bare = parseReference(name, null);
    if (bare.digest !== undefined) throw new Failure(`cannot push a digest reference: ${name}`, 1);
    if (bare.tag === undefined && !values.quiet) writeOut('Using default tag: latest\n');
    const reference = parseReference(name);
    await pushImage(context, name, values.quiet);
    if (values.quiet) writeOut(`${reference.registry}/${reference.repository}:${reference.tag}\n`);
    return 0;
  },
});
