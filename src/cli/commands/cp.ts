import { GantryError } from '#errors/index.ts';
import type { Command } from '../command.ts';

/** `gantry cp`: the engine has no archive call yet. */
export const command: Command = {
  execute: async () => {
    throw new GantryError(
      'unsupported',
      "gantry cp: not supported yet; pipe a tar through 'gantry exec -i CONTAINER tar -x' or use a bind mount",
    );
  },
};
