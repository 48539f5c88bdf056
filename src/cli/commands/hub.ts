import type { Command } from '../command.ts';

/** `gantry hub`: the registry, which reads its own flags. */
export const command: Command = {
  execute: async (_context, argv) => (await import('#hub-server/index.ts')).hubMain(argv),
};
