import type { EngineClient } from '#client/index.ts';
import type { ConfigFile } from './config-file.ts';
import { Failure } from './failure.ts';
import { type Options, optionsHelp, type ParsedOptions, parseOptions, wrap } from './options.ts';
import { writeOut } from './output.ts';

/** What every command is given. */
export interface CommandContext {
  readonly engine: EngineClient;
  /** Folder of the client's config.json. */
  readonly configDirectory: string;
  /** What stands in it. */
  readonly config: ConfigFile;
  /** The context that says where the engine is; `default` where -H or the environment does, or nothing. */
  readonly contextName: string;
  /** The words the command was called by, e.g. `container ls`. */
  readonly calledAs: string;
}

/** A command as the program runs it. Resolves with the exit code. */
export interface Command {
  /** Its flags, and whether they end at the first word, for who completes them. */
  readonly options?: Options;
  readonly stopAtFirst?: boolean;
  execute(context: CommandContext, argv: readonly string[]): Promise<number>;
}

export interface CommandDefinition<O extends Options> {
  /** What follows the command's name, e.g. `[OPTIONS] IMAGE [COMMAND] [ARG...]`; one line per form. */
  readonly usage: string;
  readonly summary: string;
  readonly options: O;
  /** How many words follow the flags: at least, at most. */
  readonly args: readonly [least: number, most: number];
  /** Flags end at the first word: what follows belongs to the container. */
  readonly stopAtFirst?: boolean;
  /** All names of the command, shown where there are several. */
  readonly aliases?: readonly string[];
  run(context: CommandContext, parsed: ParsedOptions<O>): Promise<number>;
}

/** A command from its table of flags and its body; help and refusals of wrong use are made here, for all alike. */
export function defineCommand<const O extends Options>(definition: CommandDefinition<O>): Command {
  return {
    options: definition.options,
    stopAtFirst: definition.stopAtFirst ?? false,
    async execute(context, argv) {
      const called = `gantry ${context.calledAs}`;
      const usage = `Usage:  ${called} ${definition.usage}`.trimEnd();
      let parsed: ParsedOptions<O>;
      try {
        parsed = parseOptions(definition.options, argv, { stopAtFirst: definition.stopAtFirst ?? false });
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        throw new Failure(
          `${error.message}\n\n${usage}\n\nRun '${called} --help' for more information`,
          error.exitCode,
        );
      }
      if (parsed.help) {
        const aliases = definition.aliases?.map((name) => `gantry ${name}`).join(', ');
        writeOut(
          `${usage}\n\n${wrap(definition.summary, 80)}\n${aliases === undefined ? '' : `\nAliases:\n  ${aliases}\n`}${optionsHelp(
            definition.options,
          )}`,
        );
        return 0;
      }
      const wrong = wrongCount(called, definition.args, parsed.args.length);
      if (wrong !== undefined)
        throw new Failure(
          `gantry: ${wrong}\n\n${usage}\n\n${wrong.includes('at least') ? 'See' : 'Run'} '${called} --help' for more information`,
          1,
        );
      return await definition.run(context, parsed);
    },
  };
}

function wrongCount(called: string, [least, most]: readonly [number, number], count: number): string | undefined {
  if (count >= least && count <= most) return undefined;
  const plural = (n: number) => `${n} argument${n === 1 ? '' : 's'}`;
  if (most === 0) return `'${called}' accepts no arguments`;
  if (least === most) return `'${called}' requires ${plural(least)}`;
  return count < least
    ? `'${called}' requires at least ${plural(least)}`
    : `'${called}' requires at most ${plural(most)}`;
}
