import { globPrefix, shellGlob } from './glob.ts';
import type { Word } from './instructions.ts';
import { frameError, type Span } from './source.ts';

/** Where variables are looked up. */
export type Lookup = (name: string) => string | undefined;

const deepest = 50;
/** A value may double with every ENV; no honest one comes near this many characters. */
const longest = 1024 * 1024;
const longestSearched = 4096;

/** Expands to one string: quotes and escapes are taken away. @throws GantryError invalid, as a code frame */
export const expandWord = (word: Word, lookup: Lookup, escapeToken: string): string =>
  new Expansion(word.text, word.span, lookup, escapeToken).word('');

/** Expands and splits at unquoted blanks, as EXPOSE does. */
export const expandWords = (word: Word, lookup: Lookup, escapeToken: string): readonly string[] => {
  const words = new Expansion(word.text, word.span, lookup, escapeToken).words();
  return words;
};

/** The text of a heredoc: variables are expanded, quotes are ordinary characters. */
export const expandText = (text: string, span: Span, lookup: Lookup, escapeToken: string): string =>
  new Expansion(text, span, lookup, escapeToken).text();

class Expansion {
  private at = 0;
  private depth = 0;
  private produced = 0;
  private readonly chars: string;
  private readonly span: Span;
  private readonly lookup: Lookup;
  private readonly escape: string;

  constructor(chars: string, span: Span, lookup: Lookup, escapeToken: string) {
    this.chars = chars;
    this.span = span;
    this.lookup = lookup;
    this.escape = escapeToken;
  }

  private fail(message: string) {
    return frameError(this.span, message);
  }

  /** Counts what is made, and refuses more than is sane. */
  private made(text: string): string {
    this.produced += text.length;
    if (this.produced > longest) throw this.fail(`expands to more than ${longest} characters`);
    return text;
  }

  /** Up to `stop` (not consumed) or the end. */
  word(stop: string): string {
    const parts: string[] = [];
    while (this.at < this.chars.length) {
      const char = this.chars[this.at] ?? '';
      if (char === stop) break;
      parts.push(this.piece(char));
    }
    return parts.join('');
  }

  words(): string[] {
    const words: string[] = [];
    let current = '';
    let open = false;
    while (this.at < this.chars.length) {
      const char = this.chars[this.at] ?? '';
      if (/\s/.test(char)) {
        if (open) words.push(current);
        current = '';
        open = false;
        this.at++;
        continue;
      }
      const bare = char === '$';
      const text = this.piece(char);
      if (!bare) {
        current += text;
        open = true;
        continue;
      }
      const fields = text.split(/\s+/);
      current += fields[0] ?? '';
      open ||= fields[0] !== '';
      for (const field of fields.slice(1)) {
        if (open) words.push(current);
        current = field;
        open = field !== '';
      }
    }
    if (open) words.push(current);
    return words;
  }

  text(): string {
    const parts: string[] = [];
    while (this.at < this.chars.length) {
      const char = this.chars[this.at] ?? '';
      if (char === '$') parts.push(this.dollar());
      else {
        this.at++;
        const next = this.chars[this.at];
        if (char === this.escape && (next === '$' || next === this.escape)) {
          parts.push(next);
          this.at++;
        } else parts.push(char);
      }
    }
    return parts.join('');
  }

  private piece(char: string): string {
    if (char === "'") return this.singleQuoted();
    if (char === '"') return this.doubleQuoted();
    if (char === '$') return this.dollar();
    this.at++;
    if (char !== this.escape) return this.made(char);
    const next = this.chars[this.at];
    if (next === undefined) return '';
    this.at++;
    return this.made(next);
  }

  private singleQuoted(): string {
    const close = this.chars.indexOf("'", this.at + 1);
    if (close < 0) throw this.fail('unexpected end of statement while looking for matching single-quote');
    const text = this.chars.slice(this.at + 1, close);
    this.at = close + 1;
    return this.made(text);
  }

  private doubleQuoted(): string {
    const parts: string[] = [];
    this.at++;
    for (;;) {
      const char = this.chars[this.at];
      if (char === undefined) throw this.fail('unexpected end of statement while looking for matching double-quote');
      if (char === '"') {
        this.at++;
        return parts.join('');
      }
      if (char === '$') {
        parts.push(this.dollar());
        continue;
      }
      this.at++;
      const next = this.chars[this.at];
      if (char === this.escape && (next === '"' || next === '$' || next === this.escape)) {
        parts.push(this.made(next));
        this.at++;
      } else parts.push(this.made(char));
    }
  }

  private dollar(): string {
    this.at++;
    if (this.chars[this.at] === '{') return this.braced();
    const name = this.name();
    return name === '' ? this.made('$') : this.made(this.lookup(name) ?? '');
  }

  private name(): string {
    const pattern = /[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?\-$!]/y;
    pattern.lastIndex = this.at;
    const [name = ''] = pattern.exec(this.chars) ?? [];
    this.at += name.length;
    return name;
  }

  private braced(): string {
    if (++this.depth > deepest) throw this.fail('variables are nested too deeply');
    this.at++;
    const name = this.name();
    if (name === '') throw this.fail('bad substitution: ${ must be followed by a name');
    const value = this.lookup(name);
    const result = this.modified(name, value);
    if (this.chars[this.at] !== '}') throw this.fail(`bad substitution: \${${name} has no closing }`);
    this.at++;
    this.depth--;
    return this.made(result);
  }

  private modified(name: string, value: string | undefined): string {
    const char = this.chars[this.at];
    if (char === '}' || char === undefined) return value ?? '';
    this.at++;
    switch (char) {
      case ':':
      case '-':
      case '+':
      case '?': {
        const operator = char === ':' ? this.chars[this.at] : char;
        if (char === ':') this.at++;
        const absent = value === undefined || (char === ':' && value === '');
        if (operator === '-') {
          const word = this.word('}');
          return absent ? word : (value ?? '');
        }
        if (operator === '+') {
          const word = this.word('}');
          return absent ? '' : word;
        }
        if (operator === '?') {
          const word = this.word('}');
          if (absent) throw this.fail(`${name}: ${word === '' ? 'is not allowed to be unset' : word}`);
          return value ?? '';
        }
        throw this.fail(`unsupported modifier (:${operator ?? ''}) in substitution; known are :- :+ :? # ## % %% / //`);
      }
      case '#':
      case '%': {
        const longestWanted = this.chars[this.at] === char;
        if (longestWanted) this.at++;
        const pattern = shellGlob(this.word('}'));
        const text = [...(value ?? '')];
        const fromEnd = char === '%';
        const length = globPrefix(
          fromEnd ? [...pattern].reverse() : pattern,
          fromEnd ? text.toReversed() : text,
          longestWanted ? 'longest' : 'shortest',
        );
        if (length === undefined) return value ?? '';
        return (fromEnd ? text.slice(0, text.length - length) : text.slice(length)).join('');
      }
      case '/': {
        const all = this.chars[this.at] === '/';
        if (all) this.at++;
        const pattern = shellGlob(this.word('/'));
        if (this.chars[this.at] !== '/') throw this.fail(`bad substitution: \${${name}/pattern needs /replacement`);
        this.at++;
        return this.replaced(value ?? '', pattern, this.word('}'), all);
      }
      default:
        throw this.fail(`unsupported modifier (${char}) in substitution; known are :- :+ :? # ## % %% / //`);
    }
  }

  private replaced(value: string, pattern: ReturnType<typeof shellGlob>, replacement: string, all: boolean): string {
    const text = [...value];
    if (text.length > longestSearched) throw this.fail(`a value of ${text.length} characters is too long to search`);
    const parts: string[] = [];
    for (let at = 0; at < text.length; ) {
      const length = globPrefix(pattern, text.slice(at), 'longest');
      if (length === undefined || length === 0) {
        parts.push(text[at] ?? '');
        at++;
        continue;
      }
      parts.push(this.made(replacement));
      at += length;
      if (!all) {
        parts.push(...text.slice(at));
        break;
      }
    }
    return parts.join('');
  }
}
