import { familiarName, parseReference } from '#oci/index.ts';
import { defineCommand } from '../command.ts';
import { Failure } from '../failure.ts';

export const command = defineCommand({
  usage: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
  summary: 'Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE',
  aliases: ['image tag', 'tag'],
  options: {},
  args: [2, 2],
  async run({ engine }, { args: [source = '', target = ''] }) {
    const reference = parseReference(target);
    if (reference.digest !== undefined) throw new Failure('refusing to create a tag with a digest reference', 1);
    await engine.json('POST', `/images/${source}/tag`, {
      query: { repo: familiarName(reference), tag: reference.tag },
    });
    return 0;
  },
});
