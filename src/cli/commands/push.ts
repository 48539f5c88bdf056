import type { ImageSummary } from '#client/index.ts';
import { familiarName, parseReference } from '#oci/index.ts';
import { type CommandContext, defineCommand } from '../command.ts';
import { contentTrust } from '../container-options.ts';
import { Failure } from '../failure.ts';
import { filtersOf } from '../filters.ts';
import { requirePlatform } from '../image-platform.ts';
import { flag, text } from '../options.ts';
import { writeOut } from '../output.ts';
import { pushImage } from '../push-image.ts';

export const command = defineCommand({
  usage: '[OPTIONS] NAME[:TAG]',
  summary: 'Upload an image to a registry',
  aliases: ['image push', 'push'],
  options: {
    'all-tags': flag('Push all tags of an image to the repository', { short: 'a' }),
    'disable-content-trust': contentTrust('signing'),
    platform: text('Push this platform only. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")'),
    quiet: flag('Suppress verbose output', { short: 'q' }),
  },
  args: [1, 1],
  async run(context, { values, args: [name = ''] }) {
    const bare = parseReference(name, null);
    if (values['all-tags']) {
      if (bare.tag !== undefined || bare.digest !== undefined)
        throw new Failure("tag can't be used with --all-tags/-a", 1);
      return await pushAllTags(context, name, values.quiet);
    }
    if (bare.digest !== undefined) throw new Failure(`cannot push a digest reference: ${name}`, 1);
    if (bare.tag === undefined && !values.quiet) writeOut('Using default tag: latest\n');
    const reference = parseReference(name);
    await requirePlatform(context.engine, name, values.platform);
    await pushImage(context, name, values.quiet);
    if (values.quiet) writeOut(`${reference.registry}/${reference.repository}:${reference.tag}\n`);
    return 0;
  },
});

async function pushAllTags(context: CommandContext, name: string, quiet: boolean): Promise<number> {
  const repository = familiarName(parseReference(name));
  const images = await context.engine.json<readonly ImageSummary[]>('GET', '/images/json', {
    query: { filters: filtersOf([['reference', repository]]) },
  });
  const tags = images.flatMap(({ RepoTags }) => RepoTags ?? []).filter((tag) => tag.startsWith(`${repository}:`));
  if (tags.length === 0) throw new Failure(`An image does not exist locally with the tag: ${repository}`, 1);
  for (const tag of tags.toSorted()) await pushImage(context, tag, quiet);
  return 0;
}
