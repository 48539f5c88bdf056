import { parseArgs } from 'node:util';
import { GantryError, messageOf } from '#errors/index.ts';
import type { Database } from '#registry/index.ts';
import { openStorage, type Storage } from './storage.ts';
import { readStorageOptions, type StorageOptions, storageFlags, storageHelp } from './storage-options.ts';

/** What a subcommand of `gantry hub` has at hand. */
export interface AdminCall {
  readonly db: Database;
  readonly storage: Storage;
  readonly options: StorageOptions;
  /** As many as the command names. */
  readonly names: readonly string[];
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
}

/** One line of a command's table: its words, its help, and what it does. */
export interface AdminVerb {
  /** The names it takes, as its help shows them; one in brackets may be missing. */
  readonly takes: readonly string[];
  /** Flags besides --data-root, by what they stand for. */
  readonly flags?: Readonly<Record<string, 'string' | 'boolean'>>;
  readonly help: string;
  run(call: AdminCall): Promise<void> | void;
}

export type AdminVerbs = Readonly<Record<string, AdminVerb>>;

/**
 * `gantry hub <noun> <verb> …`, on the hub's database, whether or not the hub runs. Returns the exit code.
 * @throws GantryError invalid for words that are none, and what the verb throws
 */
export async function adminCommand(noun: string, about: string, verbs: AdminVerbs, argv: readonly string[]) {
  const [word, ...rest] = argv;
  if (word === undefined || word === '--help' || word === '-h') {
    process.stdout.write(helpOf(noun, about, verbs));
    return word === undefined ? 1 : 0;
  }
  const verb = Object.hasOwn(verbs, word) ? verbs[word] : undefined;
  if (verb === undefined)
    throw new GantryError(
      'invalid',
      `"${word}" is no command of 'gantry hub ${noun}'; see 'gantry hub ${noun} --help'`,
    );
  return await runVerb(`${noun} ${word}`, verb, rest);
}

/** One verb with its own arguments, such as `gantry hub gc`. */
export async function runVerb(name: string, verb: AdminVerb, argv: readonly string[]): Promise<number> {
  const { values, positionals } = parse(name, verb, argv);
  if (values.help === true) {
    process.stdout.write(`Usage:  gantry hub ${name} ${usageOf(verb)}\n\n${verb.help}\n\nOptions:\n${storageHelp}`);
    return 0;
  }
  const needed = verb.takes.filter((one) => !one.startsWith('[')).length;
  if (positionals.length < needed || positionals.length > verb.takes.length)
    throw new GantryError('invalid', `'gantry hub ${name}' takes ${countOf(verb.takes)}`);
  const options = readStorageOptions(values);
  await using storage = await openStorage(options);
  await verb.run({ db: storage.db, storage, options, names: positionals, flags: values });
  return 0;
}

const countOf = (takes: readonly string[]): string =>
  takes.length === 0 ? 'no name' : takes.length === 1 ? `one name, ${takes[0]}` : takes.join(' ');

function parse(name: string, verb: AdminVerb, argv: readonly string[]) {
  const own = Object.fromEntries(Object.entries(verb.flags ?? {}).map(([flag, type]) => [flag, { type }]));
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        ...own,
        help: { type: 'boolean', short: 'h' },
        ...storageFlags,
      },
    });
  } catch (error) {
    throw new GantryError('invalid', `${messageOf(error)}; see 'gantry hub ${name} --help'`);
  }
}

const usageOf = ({ takes, flags = {} }: AdminVerb): string =>
  [...takes, ...Object.entries(flags).map(([flag, type]) => `[--${flag}${type === 'string' ? ' VALUE' : ''}]`)].join(
    ' ',
  );

function helpOf(noun: string, about: string, verbs: AdminVerbs): string {
  const lines = Object.entries(verbs).map(([word, verb]) => `  ${word} ${usageOf(verb)}\n      ${verb.help}\n`);
  return `Usage:  gantry hub ${noun} COMMAND [OPTIONS]\n\n${about}, whether or not the hub is running\n\nCommands:\n${lines.join('')}
Options:
${storageHelp}`;
}

/** A whole number, `none` for no limit, with kB, MB, GB and TB for bytes. @throws GantryError invalid */
export function parseLimit(flag: string, text: string): number | null {
  if (text === 'none') return null;
  const match = /^(\d{1,12}(?:\.\d{1,3})?)\s*(|B|kB|MB|GB|TB)$/.exec(text);
  const value =
    Number(match?.[1]) * 1000 ** ['', 'kB', 'MB', 'GB', 'TB'].indexOf((match?.[2] ?? '').replace(/^B$/, ''));
  if (match === null || !Number.isSafeInteger(value))
    throw new GantryError('invalid', `--${flag} "${text}": expected a number such as 20 or 5GB, or none`);
  return value;
}

/** Rows under a head, each column as wide as it needs. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)) + 3);
  for (const row of rows)
    process.stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('')
        .trimEnd()}\n`,
    );
}

export const say = (text: string): void => void process.stdout.write(`${text}\n`);
