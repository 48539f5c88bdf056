import { canonicalReference, parseReference } from '#oci/index.ts';
import { defineCommand } from '../command.ts';
import { contentTrust } from '../container-options.ts';
import { flag, text, unsupported } from '../options.ts';
import { writeOut } from '../output.ts';
import { pullImage } from '../pull-image.ts';

export const command = defineCommand({
  usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
  summary: 'Download an image from a registry',
  aliases: ['image pull', 'pull'],
  options: {
    'all-tags': unsupported('Download all tagged images in the repository', '', { short: 'a' }),
    'disable-content-trust': contentTrust('verification'),
    platform: text('Set platform if server is multi-platform capable'),
    quiet: flag('Suppress verbose output', { short: 'q' }),
  },
  args: [1, 1],
  async run(context, { values, args: [name = ''] }) {
    const bare = parseReference(name, null);
    const reference = parseReference(name);
    if (bare.tag === undefined && bare.digest === undefined && !values.quiet) writeOut('Using default tag: latest\n');
    await pullImage(context, reference, { ...values, to: { fd: 1, write: writeOut } });
    writeOut(`${canonicalReference(reference)}\n`);
    return 0;
  },
});
