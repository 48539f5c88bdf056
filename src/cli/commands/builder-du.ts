import { defineCommand } from '../command.ts';
import { writeOut } from '../output.ts';
import { layOutTable } from '../table.ts';
import { ago, humanSize } from '../units.ts';

interface CacheRecord {
  readonly ID: string;
  readonly Type: string;
  readonly Size: number;
  readonly InUse: boolean;
  readonly LastUsedAt: string;
}

export const command = defineCommand({
  usage: '',
  summary: 'Show what the build cache takes on disk',
  options: {},
  args: [0, 0],
  async run({ engine }) {
    const records = await engine.json<readonly CacheRecord[]>('GET', '/gantry/build/cache');
    const rows = records.map(
      ({ ID, Type, Size, InUse, LastUsedAt }) =>
        `${ID.replace('sha256:', '').slice(0, 12)}\t${Type}\t${humanSize(Size, 3)}\t${InUse}\t${ago(Date.parse(LastUsedAt) / 1000)}`,
    );
    writeOut(layOutTable(['ID\tTYPE\tSIZE\tIN USE\tLAST ACCESSED', ...rows]));
    writeOut(`Total:\t${humanSize(records.reduce((sum, { Size }) => sum + Size, 0))}\n`);
    return 0;
  },
});
