import { GantryError } from '#errors/index.ts';

/**
 * Patterns as a list of tokens, matched by following all states at once: time is pattern × text whatever either holds,
 * so a hostile pattern cannot stall the engine as a backtracking expression would.
 */
type Token =
  | { readonly is: 'char'; readonly char: string }
  | { readonly is: 'class'; readonly negated: boolean; readonly ranges: readonly (readonly [string, string])[] }
  | { readonly is: 'one' } // any one but /
  | { readonly is: 'star' } // any run without /
  | { readonly is: 'deep' } // any run
  | { readonly is: 'dirs' }; // nothing, or a run that ends in /

export type Glob = readonly Token[];

/** A pattern of Go's `filepath.Match`; with `deep`, `**` of .dockerignore too. @throws GantryError invalid */
export function compileGlob(pattern: string, options: { readonly deep?: boolean } = {}): Glob {
  const tokens: Token[] = [];
  const chars = [...pattern];
  const bad = (why: string) =>
    new GantryError('invalid', `the pattern "${pattern}" ${why}`, { code: 'pattern-invalid' });
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i] ?? '';
    if (char === '*') {
      let stars = 1;
      while (chars[i + 1] === '*') {
        stars++;
        i++;
      }
      if (stars === 1 || options.deep !== true) tokens.push({ is: 'star' });
      else if (chars[i + 1] === '/') {
        tokens.push({ is: 'dirs' });
        i++;
      } else tokens.push({ is: 'deep' });
    } else if (char === '?') tokens.push({ is: 'one' });
    else if (char === '\\') {
      i++;
      if (i >= chars.length) throw bad('ends in a backslash');
      tokens.push({ is: 'char', char: chars[i] ?? '' });
    } else if (char === '[') {
      const negated = chars[i + 1] === '^' || chars[i + 1] === '!';
      if (negated) i++;
      const ranges: [string, string][] = [];
      for (i++; chars[i] !== ']' || ranges.length === 0; ) {
        if (i >= chars.length) throw bad('has a [ without its ]');
        if (chars[i] === '\\') i++;
        const low = chars[i] ?? '';
        i++;
        if (chars[i] === '-' && chars[i + 1] !== ']') {
          i++;
          if (chars[i] === '\\') i++;
          ranges.push([low, chars[i] ?? '']);
          i++;
        } else ranges.push([low, low]);
      }
      tokens.push({ is: 'class', negated, ranges });
    } else tokens.push({ is: 'char', char });
  }
  return tokens;
}

/** A shell's pattern as in `${x#pattern}`: `*` and `?` take any character, `\` escapes. */
export function shellGlob(pattern: string): Glob {
  const tokens: Token[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i] ?? '';
    if (char === '*') {
      if (tokens.at(-1)?.is !== 'deep') tokens.push({ is: 'deep' });
    } else if (char === '?') tokens.push({ is: 'class', negated: true, ranges: [] });
    else if (char === '\\' && i + 1 < pattern.length) {
      i++;
      tokens.push({ is: 'char', char: pattern[i] ?? '' });
    } else tokens.push({ is: 'char', char });
  }
  return tokens;
}

const takes = (token: Token, char: string): boolean => {
  switch (token.is) {
    case 'char':
      return token.char === char;
    case 'one':
    case 'star':
      return char !== '/';
    case 'class':
      return (
        token.negated !== token.ranges.some(([low, high]) => low <= char && char <= high) &&
        (token.ranges.length === 0 || char !== '/')
      );
    case 'deep':
    case 'dirs':
      return true;
  }
};

/** Lengths (in characters) of the prefixes of `text` that a pattern matches, shortest first. */
function* prefixes(glob: Glob, text: readonly string[]): Generator<number> {
  const final = glob.length;
  let states = new Uint8Array(final + 1);
  let now: number[] = [];
  const enter = (list: number[], seen: Uint8Array, state: number) => {
    for (let s = state; s <= final && seen[s] !== 1; s++) {
      seen[s] = 1;
      list.push(s);
      const kind = glob[s]?.is;
      if (kind !== 'star' && kind !== 'deep' && kind !== 'dirs') break;
    }
  };
  enter(now, states, 0);
  if (states[final] === 1) yield 0;
  for (let at = 0; at < text.length && now.length > 0; at++) {
    const char = text[at] ?? '';
    const next: number[] = [];
    const seen = new Uint8Array(final + 1);
    for (const state of now) {
      const token = glob[state];
      if (token === undefined || !takes(token, char)) continue;
      if (token.is === 'star' || token.is === 'deep') enter(next, seen, state);
      else if (token.is === 'dirs') {
        // inside the run only a slash leads on
        if (seen[state] !== 1) {
          seen[state] = 1;
          next.push(state);
        }
        if (char === '/') enter(next, seen, state + 1);
      } else enter(next, seen, state + 1);
    }
    now = next;
    states = seen;
    if (states[final] === 1) yield at + 1;
  }
}

/** Whether the pattern matches the whole text. */
export function globMatches(glob: Glob, text: string): boolean {
  const chars = [...text];
  let last = -1;
  for (const length of prefixes(glob, chars)) last = length;
  return last === chars.length;
}

/** The shortest or longest matching prefix's length in characters; undefined where none matches. */
export function globPrefix(glob: Glob, text: readonly string[], which: 'shortest' | 'longest'): number | undefined {
  let found: number | undefined;
  for (const length of prefixes(glob, text)) {
    found = length;
    if (which === 'shortest') break;
  }
  return found;
}

/** Whether a text has any pattern character of `filepath.Match`. */
export const hasWildcard = (text: string): boolean => /[*?[\\]/.test(text);
