import { defineCommand } from '../command.ts';
import { writeOut } from '../output.ts';

const letters = ['C', 'A', 'D'];

export const command = defineCommand({
  usage: 'CONTAINER',
  summary: "Inspect changes to files or directories on a container's filesystem",
  aliases: ['container diff', 'diff'],
  options: {},
  args: [1, 1],
  async run({ engine }, { args: [name = ''] }) {
    const changes = await engine.json<readonly { Path: string; Kind: number }[] | null>(
      'GET',
      `/containers/${encodeURIComponent(name)}/changes`,
    );
    for (const { Path, Kind } of changes ?? []) writeOut(`${letters[Kind] ?? '?'} ${Path}\n`);
    return 0;
  },
});
