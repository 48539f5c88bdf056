import { GantryError, isGantryError, messageOf } from '#errors/index.ts';
import { Failure } from './failure.ts';

/** One flag of a command: parsing, its help line and its refusal all come from this. */
export interface Option<T> {
  readonly short: string | undefined;
  /** The kind of value as help shows it; empty for a switch. */
  readonly label: string;
  readonly help: string;
  readonly initial: T;
  /** Help says `(default …)`. */
  readonly shownDefault: string | undefined;
  /** Not shown in help: understood only to be refused, or kept for old spellings. */
  readonly hidden: boolean;
  read(text: string, previous: T): T;
}

// biome-ignore lint/complexity/noBannedTypes: the table's keys are what is inferred
export type Options = Readonly<Record<string, Option<unknown>>> | {};
export type Values<O> = { readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never };

interface Shape {
  readonly short?: string;
  readonly label?: string;
  readonly hidden?: boolean;
}

const option = <T>(
  help: string,
  initial: T,
  label: string,
  shape: Shape & { readonly shownDefault?: string | undefined },
  read: (text: string, previous: T) => T,
): Option<T> => ({
  short: shape.short,
  label: shape.label ?? label,
  help,
  initial,
  shownDefault: shape.shownDefault,
  hidden: shape.hidden ?? false,
  read,
});

const booleans: ReadonlyMap<string, boolean> = new Map(
  Object.entries({ 1: true, t: true, T: true, TRUE: true, true: true, True: true }).concat(
    Object.entries({ 0: false, f: false, F: false, FALSE: false, false: false, False: false }),
  ),
);

/** `-t`, `--tty`, `--tty=false`. */
export const flag = (help: string, shape: Shape & { initial?: boolean } = {}): Option<boolean> =>
  option(help, shape.initial ?? false, '', { ...shape, shownDefault: shape.initial ? 'true' : undefined }, (text) => {
    const value = booleans.get(text);
    if (value === undefined) throw new Error(`"${text}" is neither true nor false`);
    return value;
  });

export const text = (help: string, shape: Shape & { initial?: string } = {}): Option<string> =>
  option(
    help,
    shape.initial ?? '',
    'string',
    { ...shape, shownDefault: shape.initial === undefined ? undefined : JSON.stringify(shape.initial) },
    (value) => value,
  );

export const list = (help: string, shape: Shape = {}): Option<readonly string[]> =>
  listOf((written) => written, help, shape);

/** A flag that may be given several times, each value checked and read as it comes. */
export const listOf = <T>(parse: (text: string) => T, help: string, shape: Shape = {}): Option<readonly T[]> =>
  option<readonly T[]>(help, [], 'list', shape, (value, previous) => [...previous, parse(value)]);

/** A value that `parse` checks as it is read; undefined where the flag is not given. */
export const value = <T>(
  label: string,
  parse: (text: string) => T,
  help: string,
  shape: Shape & { shownDefault?: string } = {},
): Option<T | undefined> => option<T | undefined>(help, undefined, label, shape, parse);

export const integer = (help: string, shape: Shape & { shownDefault?: string } = {}): Option<number | undefined> =>
  value(
    'int',
    (written) => {
      if (!/^[+-]?\d+$/.test(written) || !Number.isSafeInteger(Number(written)))
        throw new Error(`"${written}" is not an integer`);
      return Number(written);
    },
    help,
    shape,
  );

/** A flag of Docker's that is understood and not built: help says so, and giving it is an error that names it. */
export const unsupported = (help: string, label = 'string', shape: Shape = {}): Option<undefined> =>
  option<undefined>(`${help} (not supported)`, undefined, label, shape, () => {
    throw new GantryError('unsupported', 'not supported by Gantry');
  });

/** A switch of Docker's that stands at `position` here, whatever is done; the other way is an error that says why. */
export const fixed = (help: string, position: boolean, why: string): Option<boolean> =>
  option(help, position, '', { shownDefault: position ? 'true' : undefined }, (text) => {
    const asked = booleans.get(text);
    if (asked === undefined) throw new Error(`"${text}" is neither true nor false`);
    if (asked !== position) throw new GantryError('unsupported', why);
    return asked;
  });

export interface ParsedOptions<O> {
  readonly values: Values<O>;
  /** Long names of the flags that were given. */
  readonly given: ReadonlySet<string>;
  readonly args: readonly string[];
  readonly help: boolean;
}

/**
 * Parses as Docker does: `--name value`, `--name=value`, `-abc`, `-n5`, `--` ends the flags, and with `stopAtFirst` so
 * does the first word that is none (`run IMAGE --not-ours`).
 * @throws Failure (exit code 125) naming the flag and what is wrong with it
 */
export function parseOptions<const O extends Options>(
  options: O,
  argv: readonly string[],
  { stopAtFirst = false } = {},
): ParsedOptions<O> {
  const table = options as Readonly<Record<string, Option<unknown>>>;
  const byShort = new Map(
    Object.entries(table).flatMap(([name, o]) => (o.short === undefined ? [] : [[o.short, name]])),
  );
  const values: Record<string, unknown> = Object.fromEntries(
    Object.entries(table).map(([name, o]) => [name, o.initial]),
  );
  const given = new Set<string>();
  const args: string[] = [];
  let help = false;
  const wrong = (message: string) => new Failure(message, 125);
  const set = (name: string, definition: Option<unknown>, written: string) => {
    try {
      values[name] = definition.read(written, values[name]);
    } catch (error) {
      if (isGantryError(error, 'unsupported')) throw wrong(`${spelled(name, definition)}: ${error.message}`);
      throw wrong(
        `invalid argument ${JSON.stringify(written)} for "${spelled(name, definition)}" flag: ${messageOf(error)}`,
      );
    }
    given.add(name);
  };

  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? '';
    if (word === '--') {
      args.push(...argv.slice(at + 1));
      break;
    }
    if (word.startsWith('--')) {
      const equals = word.indexOf('=');
      const name = word.slice(2, equals < 0 ? undefined : equals);
      if (name === 'help') {
        help = true;
        continue;
      }
      const definition = Object.hasOwn(table, name) ? table[name] : undefined;
      if (definition === undefined) throw wrong(`unknown flag: --${name}${suggestion(name, Object.keys(table), '--')}`);
      if (equals >= 0) set(name, definition, word.slice(equals + 1));
      else if (definition.label === '') set(name, definition, 'true');
      else {
        const next = argv[++at];
        if (next === undefined) throw wrong(`flag needs an argument: --${name}`);
        set(name, definition, next);
      }
    } else if (word.startsWith('-') && word !== '-') {
      for (let letters = word.slice(1); letters !== ''; ) {
        const letter = letters[0] ?? '';
        const name = byShort.get(letter);
        const definition = name === undefined ? undefined : table[name];
        if (name === undefined || definition === undefined) {
          if (letter === 'h') {
            help = true;
            break;
          }
          throw wrong(`unknown shorthand flag: '${letter}' in -${letters}`);
        }
        letters = letters.slice(1);
        if (letters.startsWith('=')) {
          set(name, definition, letters.slice(1));
          break;
        }
        if (definition.label === '') {
          set(name, definition, 'true');
          continue;
        }
        const next = letters === '' ? argv[++at] : letters;
        if (next === undefined) throw wrong(`flag needs an argument: '${letter}' in -${word.slice(1)}`);
        set(name, definition, next);
        break;
      }
    } else if (stopAtFirst) {
      args.push(...argv.slice(at));
      break;
    } else args.push(word);
  }
  return { values: values as Values<O>, given, args, help };
}

const spelled = (name: string, { short }: Option<unknown>) =>
  short === undefined ? `--${name}` : `-${short}, --${name}`;

/** ` (did you mean --x?)` for the nearest known name within two edits; otherwise nothing. */
export function suggestion(word: string, known: readonly string[], prefix = ''): string {
  const [best] = known
    .map((name) => ({ name, distance: name.startsWith(word) && word.length > 1 ? 1 : editDistance(word, name) }))
    .filter(({ name, distance }) => distance <= Math.min(2, Math.floor(name.length / 2)))
    .toSorted((a, b) => a.distance - b.distance);
  return best === undefined ? '' : ` (did you mean ${prefix}${best.name}?)`;
}

/** Edits (insert, delete, replace, swap of neighbours) between two words. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, (before[j - 2] ?? 0) + 1);
      row.push(least);
    }
    before = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

/** The `Options:` part of a command's help, wrapped to `width` columns. */
export function optionsHelp(options: Options, width = 80): string {
  const table = options as Readonly<Record<string, Option<unknown>>>;
  // Where -h is another's, the long word has to be named.
  const help = Object.values(table).some(({ short }) => short === 'h') ? { help: flag('Print usage') } : {};
  const rows = Object.entries<Option<unknown>>({ ...table, ...help })
    .filter(([, { hidden }]) => !hidden)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, o]) => ({
      left: `${o.short === undefined ? '      ' : `  -${o.short}, `}--${name}${o.label === '' ? '' : ` ${o.label}`}`,
      right: o.help + (o.shownDefault === undefined ? '' : ` (default ${o.shownDefault})`),
    }));
  if (rows.length === 0) return '';
  const indent = Math.max(...rows.map(({ left }) => left.length)) + 3;
  const lines = rows.map(({ left, right }) => left.padEnd(indent) + wrap(right, width - indent, indent));
  return `\nOptions:\n${lines.join('\n')}\n`;
}

/** Text in lines of at most `width` columns, all but the first indented; what fits is kept as it is. */
export function wrap(words: string, width: number, indent = 0): string {
  const lines: string[] = [];
  for (const paragraph of words.split('\n')) {
    if (paragraph.length <= width) {
      lines.push(paragraph);
      continue;
    }
    let line = '';
    for (const word of paragraph.split(' ')) {
      if (line !== '' && line.length + 1 + word.length > Math.max(width, 24)) {
        lines.push(line);
        line = word;
      } else line = line === '' ? word : `${line} ${word}`;
    }
    lines.push(line);
  }
  return lines.join(`\n${' '.repeat(indent)}`);
}
