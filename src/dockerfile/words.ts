/** A word of a line by offsets; quotes and escapes are still in it. */
export interface RawWord {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** Splits at blanks that are neither quoted nor escaped. An open quote reaches to the end; expansion says so. */
export function splitWords(text: string, from: number, escapeToken: string): readonly RawWord[] {
  const words: RawWord[] = [];
  let start = -1;
  let quote = '';
  for (let i = from; i <= text.length; i++) {
    const char = text[i];
    if (char === undefined || (quote === '' && /\s/.test(char))) {
      if (start >= 0) words.push({ text: text.slice(start, i), start, end: Math.min(i, text.length) });
      start = -1;
      continue;
    }
    if (start < 0) start = i;
    if (quote !== '') {
      if (char === escapeToken && quote === '"') i = Math.min(i + 1, text.length - 1);
      else if (char === quote) quote = '';
    } else if (char === '"' || char === "'") quote = char;
    else if (char === escapeToken) i = Math.min(i + 1, text.length - 1);
  }
  return words;
}

/** Splits at every blank; COPY and ADD know no quotes outside their JSON form. */
export function splitBlanks(text: string, from: number): readonly RawWord[] {
  return [...text.slice(from).matchAll(/\S+/g)].map((match) => ({
    text: match[0],
    start: from + match.index,
    end: from + match.index + match[0].length,
  }));
}
