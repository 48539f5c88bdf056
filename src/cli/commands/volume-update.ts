import { defineCommand } from '../command.ts';
import { Failure } from '../failure.ts';
import { text } from '../options.ts';

export const command = defineCommand({
  usage: '[OPTIONS] [VOLUME]',
  summary: 'Update a volume (cluster volumes only)',
  options: { availability: text('Cluster Volume availability ("active", "pause", "drain")', { initial: 'active' }) },
  args: [1, 1],
  async run({ engine }, { args: [name = ''] }) {
    await engine.json('GET', `/volumes/${encodeURIComponent(name)}`);
    throw new Failure('Can only update cluster volumes', 1);
  },
});
