/**
 * JSON text with `unit` as indentation, four spaces where nothing is said, its tokens as they came: unlike a parse and a print, this keeps the order of
 * keys that look like numbers, and numbers that are larger than a double holds.
 */
export function indentJson(text: string, unit = '    '): string {
  let out = '';
  let depth = 0;
  const newline = () => `\n${unit.repeat(depth)}`;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}:,]|[^\s"[\]{}:,]+/g)) {
    switch (token) {
      case '{':
      case '[':
        depth++;
        out += token + newline();
        break;
      case '}':
      case ']':
        depth--;
        out = /[[{]\s*$/.test(out.slice(-(unit.length * (depth + 1) + 2)))
          ? out.trimEnd() + token
          : out + newline() + token;
        break;
      case ',':
        out += token + newline();
        break;
      case ':':
        out += ': ';
        break;
      default:
        out += token;
    }
  }
  return out;
}
