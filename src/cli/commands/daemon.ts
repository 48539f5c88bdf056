import type { Command } from '../command.ts';

/** `gantry daemon`: the engine itself, which reads its own flags. */
export const command: Command = {
  execute: async (_context, argv) => (await import('#daemon/index.ts')).daemonMain(argv),
};
