import { type ErrorKind, GantryError } from '#errors/index.ts';

/** A text with a name, split into lines; spans point into it. */
export interface Source {
  readonly name: string;
  readonly lines: readonly string[];
}

/** Line and column, both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A stretch of a source; `end` is just behind it. It knows its source, so an error anywhere can show the line. */
export interface Span {
  readonly source: Source;
  readonly start: Position;
  readonly end: Position;
}

const widest = 160;
/** What a terminal may be shown: control characters of a hostile line are not. */
const printable = (text: string): string => text.replaceAll('\t', ' ').replace(/[\x00-\x1f\x7f-\x9f]/g, '\ufffd');

/** Splits a text into a source. A byte order mark is dropped. */
export const sourceOf = (name: string, text: string): Source => ({
  name,
  lines: text.replace(/^\ufeff/, '').split(/\r?\n/),
});

/**
 * An error that shows where in the file it is: name, line, the line itself and a caret under what is wrong.
 * `kind` is invalid unless given (unsupported for what is understood and not built).
 */
export function frameError(span: Span, message: string, kind: ErrorKind = 'invalid'): GantryError {
  const { source, start, end } = span;
  const shown: string[] = [];
  const width = String(start.line).length;
  for (const number of [start.line - 1, start.line]) {
    const line = source.lines[number - 1];
    if (line === undefined) continue;
    const from = Math.max(0, start.column - 1 - widest / 2);
    const text = printable(line.slice(from, from + widest));
    const mark = number === start.line ? '>' : ' ';
    shown.push(`${mark} ${String(number).padStart(width)} | ${text}`.trimEnd());
    if (number !== start.line) continue;
    const until = end.line === start.line ? end.column : line.length + 1;
    const carets = Math.max(1, Math.min(until - start.column, widest / 2));
    shown.push(`  ${' '.repeat(width)} | ${' '.repeat(start.column - 1 - from)}${'^'.repeat(carets)}`);
  }
  return new GantryError(kind, `${source.name}:${start.line}:${start.column}: ${message}\n${shown.join('\n')}`, {
    code: kind === 'invalid' ? 'dockerfile-invalid' : kind,
  });
}
