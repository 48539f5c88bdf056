/**
 * JSON text with four spaces of indentation, its tokens as they came: unlike a parse and a print, this keeps the order of
 * keys that look like numbers, and numbers that are larger than a double holds.
 */
export function indentJson(text: string): string {
  let out = '';
  let depth = 0;
  const newline = () => `\n${'    '.repeat(depth)}`;
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
        out = /[[{]\s*$/.test(out.slice(-(4 * depth + 8))) ? out.trimEnd() + token : out + newline() + token;
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
