import { GantryError } from '#errors/index.ts';
import { type Command, type CommandDefinition, defineCommand } from './command.ts';
import type { Options } from './options.ts';

/** A command of Docker's that is understood and not built: its help is there, and using it is an error that names it. */
export const unsupportedCommand = <const O extends Options>(
  what: string,
  definition: Omit<CommandDefinition<O>, 'run' | 'aliases'>,
): Command =>
  defineCommand({
    ...definition,
    summary: `${definition.summary} (not supported)`,
    async run({ calledAs }) {
      throw new GantryError('unsupported', `gantry ${calledAs}: ${what} not supported by Gantry`);
    },
  });
