import { frameError, type Position, type Source, type Span } from './source.ts';
import { splitWords } from './words.ts';

/** A here-document: `<<NAME`, `<<-NAME` (leading tabs dropped), `<<"NAME"` (nothing in it is expanded). */
export interface Heredoc {
  readonly name: string;
  readonly body: string;
  readonly expand: boolean;
  readonly stripTabs: boolean;
  readonly descriptor: string;
  readonly span: Span;
}

/** A comment with where it stands; text without its `#`. */
export interface Comment {
  readonly text: string;
  readonly span: Span;
}

/** An instruction's text with its continuation lines joined; offsets in it map back to the file. */
export interface LogicalLine {
  readonly text: string;
  readonly source: Source;
  readonly heredocs: readonly Heredoc[];
  span(start: number, end: number): Span;
}

export interface Directive {
  readonly name: 'syntax' | 'escape' | 'check';
  readonly value: string;
  readonly span: Span;
}

export interface LogicalFile {
  readonly directives: readonly Directive[];
  readonly comments: readonly Comment[];
  readonly lines: readonly LogicalLine[];
  readonly warnings: readonly { readonly message: string; readonly span: Span }[];
  readonly escape: string;
}

interface Piece {
  readonly offset: number;
  readonly position: Position;
}

function makeLine(source: Source, text: string, pieces: readonly Piece[], heredocs: readonly Heredoc[]): LogicalLine {
  const at = (offset: number): Position => {
    let low = 0;
    let high = pieces.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((pieces[middle]?.offset ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    const piece = pieces[low] ?? { offset: 0, position: { line: 1, column: 1 } };
    return { line: piece.position.line, column: piece.position.column + offset - piece.offset };
  };
  return {
    text,
    source,
    heredocs,
    span(start, end) {
      const last = at(Math.max(start, end - 1));
      return { source, start: at(start), end: { line: last.line, column: last.column + (end > start ? 1 : 0) } };
    },
  };
}

const directivePattern = /^\s*#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(\S.*)$/;
const heredocPattern = /^(\d*)<<(-?)(?:"([^"]+)"|'([^']+)'|([^\s"'<>|;&()]+))/;
const takesHeredocs = /^(?:onbuild\s+)?(?:run|copy|add)\s/i;

/**
 * The physical side of a Dockerfile: parser directives, comments (also between continued lines), continuation lines
 * and here-documents. @throws GantryError invalid, as a code frame
 */
export function readLogicalLines(source: Source): LogicalFile {
  const directives: Directive[] = [];
  const comments: Comment[] = [];
  const lines: LogicalLine[] = [];
  const warnings: { message: string; span: Span }[] = [];
  const whole = (index: number): Span => {
    const text = source.lines[index] ?? '';
    const indent = text.length - text.trimStart().length;
    return {
      source,
      start: { line: index + 1, column: indent + 1 },
      end: { line: index + 1, column: text.trimEnd().length + 1 },
    };
  };
  const comment = (index: number) => {
    comments.push({ text: (source.lines[index] ?? '').trimStart().slice(1), span: whole(index) });
  };

  let next = 0;
  let escapeToken = '\\';
  for (; next < source.lines.length; next++) {
    const [, name, value] = directivePattern.exec(source.lines[next] ?? '') ?? [];
    const known = name?.toLowerCase();
    if (value === undefined || (known !== 'syntax' && known !== 'escape' && known !== 'check')) break;
    if (directives.some((directive) => directive.name === known))
      throw frameError(whole(next), `only one ${known} directive can be used`);
    const directive = { name: known, value: value.trim(), span: whole(next) } as const;
    if (known === 'escape') {
      if (directive.value !== '\\' && directive.value !== '`')
        throw frameError(directive.span, `invalid escape "${directive.value}"; it must be \\ or \``);
      escapeToken = directive.value;
    }
    directives.push(directive);
  }

  const continued = escapeToken === '\\' ? /(?:^|[^\\])\\[ \t]*$/ : /(?:^|[^`])`[ \t]*$/;
  const skippable = (text: string) => text.trim() === '' || text.trimStart().startsWith('#');
  while (next < source.lines.length) {
    const first = source.lines[next] ?? '';
    if (skippable(first)) {
      if (first.trim() !== '') comment(next);
      next++;
      continue;
    }
    const started = next;
    const pieces: Piece[] = [];
    const texts: string[] = [];
    let length = 0;
    for (let more = true; more && next < source.lines.length; next++) {
      const raw = source.lines[next] ?? '';
      if (next > started && skippable(raw)) {
        if (raw.trim() === '') warnings.push({ message: 'Empty continuation line', span: whole(next) });
        else comment(next);
        continue;
      }
      const indent = next === started ? raw.length - raw.trimStart().length : 0;
      more = continued.test(raw);
      const text = raw.slice(indent, more ? raw.lastIndexOf(escapeToken) : raw.length);
      pieces.push({ offset: length, position: { line: next + 1, column: indent + 1 } });
      texts.push(text);
      length += text.length;
    }
    const text = texts.join('').trimEnd();
    const bare = makeLine(source, text, pieces, []);
    const heredocs: Heredoc[] = [];
    if (takesHeredocs.test(text))
      for (const word of splitWords(text, 0, escapeToken)) {
        const match = heredocPattern.exec(word.text);
        if (match === null) continue;
        const span = bare.span(word.start, word.end);
        const [, descriptor = '', dash, doubleQuoted, singleQuoted, plain] = match;
        const name = doubleQuoted ?? singleQuoted ?? plain ?? '';
        const stripTabs = dash === '-';
        const body: string[] = [];
        for (;;) {
          const raw = source.lines[next];
          if (raw === undefined) throw frameError(span, `unterminated heredoc: no line that is just "${name}" follows`);
          next++;
          const content = stripTabs ? raw.replace(/^\t+/, '') : raw;
          if (content === name) break;
          body.push(`${content}\n`);
        }
        heredocs.push({ name, body: body.join(''), expand: plain !== undefined, stripTabs, descriptor, span });
      }
    lines.push(heredocs.length === 0 ? bare : makeLine(source, text, pieces, heredocs));
  }
  return { directives, comments, lines, warnings, escape: escapeToken };
}
