import { GantryError } from '#errors/index.ts';

/** A command line option. `text` takes a value (`--name value`, `--name=value`), `flag` does not, `list` may be repeated. */
export interface OptionRule {
  readonly kind: 'text' | 'flag' | 'list';
  readonly short?: string;
}

export type OptionRules = Readonly<Record<string, OptionRule>>;

/** The options given, by long name, and what stood behind them. */
export interface Parsed {
  text(name: string): string | undefined;
  flag(name: string): boolean;
  list(name: string): readonly string[];
  /** Whether it was given at all. */
  given(name: string): boolean;
  readonly rest: readonly string[];
}

function invalid(what: string): GantryError {
  return new GantryError('invalid', `${what}; see gantry-runtime --help`);
}

function truth(name: string, value: string): boolean {
  if (value === 'true') return true;
  if (value === 'false') return false;
  throw invalid(`--${name}=${value}: use true or false`);
}

/**
 * Reads options up to the first word that is none, as runc does; `--` ends them.
 * @param of whose options these are, for errors
 * @throws GantryError invalid for an unknown option, or one without its value
 */
export function parseOptions(words: readonly string[], rules: OptionRules, of: string): Parsed {
  const values = new Map<string, string[]>();
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at] ?? '';
    if (word === '--') {
      at++;
      break;
    }
    if (!word.startsWith('-') || word === '-') break;
    const [, given = '', , inline] = word.match(/^--?([^=]*)(=(.*))?$/s) ?? [];
    const name = Object.hasOwn(rules, given)
      ? given
      : Object.keys(rules).find((long) => rules[long]?.short === given && given !== '');
    const rule = name === undefined ? undefined : rules[name];
    if (name === undefined || rule === undefined) throw invalid(`${of}: option ${word} is not known`);
    let value = inline;
    if (rule.kind === 'flag') value = String(truth(name, inline ?? 'true'));
    else if (value === undefined) {
      value = words[++at];
      if (value === undefined) throw invalid(`${of}: option ${word} needs a value`);
    }
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  return {
    text: (name) => values.get(name)?.at(-1),
    flag: (name) => values.get(name)?.at(-1) === 'true',
    list: (name) => values.get(name) ?? [],
    given: (name) => values.has(name),
    rest: words.slice(at),
  };
}
