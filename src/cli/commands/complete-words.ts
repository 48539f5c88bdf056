import type { Command } from '../command.ts';
import { complete } from '../complete.ts';
import { writeOut } from '../output.ts';

/** What the shells' scripts call: see completion-scripts.ts. */
export const command: Command = {
  async execute(context, words) {
    let shown = '';
    try {
      const { candidates, files } = await complete(context, words);
      const lines = candidates.map(({ value, about }) => (about ? `${value}\t${about.split('\n')[0]}` : value));
      shown = `${lines.map((line) => `${line}\n`).join('')}${files ? ':files' : ':names'}\n`;
    } catch {
      // Without an engine nothing of it can be named; a message would be drawn into the line being typed.
      shown = ':names\n';
    }
    writeOut(shown);
    return 0;
  },
};
