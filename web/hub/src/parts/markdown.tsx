import type { ComponentChildren } from 'preact';

/**
 * A useful part of Markdown, drawn as elements: headings, paragraphs, lists, fenced code, quotes, rules; in lines code,
 * strong, emphasis and links. It comes from strangers, so nothing in it is HTML, and links lead only to web pages.
 */
export function Markdown({ text }: { readonly text: string }) {
  return <div class="markdown">{blocksOf(text.replaceAll('\r\n', '\n').split('\n'))}</div>;
}

function blocksOf(lines: readonly string[]): ComponentChildren[] {
  const blocks: ComponentChildren[] = [];
  let at = 0;
  const take = (matches: (line: string) => boolean): string[] => {
    const from = at;
    while (at < lines.length && matches(lines[at] ?? '')) at++;
    return lines.slice(from, at);
  };
  while (at < lines.length) {
    const line = lines[at] ?? '';
    const key = at;
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    const item = /^\s*(?:[-*+]|\d+[.)])\s+/;
    if (line.trim() === '') at++;
    else if (line.startsWith('```')) {
      at++;
      const code = take((next) => !next.startsWith('```'));
      at++;
      blocks.push(
        <pre key={key}>
          <code>{code.join('\n')}</code>
        </pre>,
      );
    } else if (heading !== null) {
      at++;
      const level = Math.min(6, (heading[1]?.length ?? 1) + 2);
      const Heading = `h${level}` as 'h3' | 'h4' | 'h5' | 'h6';
      blocks.push(<Heading key={key}>{inline(heading[2] ?? '')}</Heading>);
    } else if (/^(?:-{3,}|\*{3,}|_{3,})\s*$/.test(line)) {
      at++;
      blocks.push(<hr key={key} />);
    } else if (line.startsWith('>')) {
      const quoted = take((next) => next.startsWith('>')).map((next) => next.replace(/^>\s?/, ''));
      blocks.push(<blockquote key={key}>{blocksOf(quoted)}</blockquote>);
    } else if (item.test(line)) {
      const numbered = /^\s*\d/.test(line);
      const items = take((next) => item.test(next)).map((next, i) => <li key={i}>{inline(next.replace(item, ''))}</li>);
      blocks.push(numbered ? <ol key={key}>{items}</ol> : <ul key={key}>{items}</ul>);
    } else {
      const first = at++;
      const rest = take((next) => next.trim() !== '' && !/^(?:#{1,6}\s|```|>)/.test(next) && !item.test(next));
      blocks.push(<p key={first}>{inline([line, ...rest].join(' '))}</p>);
    }
  }
  return blocks;
}

function inline(text: string): ComponentChildren[] {
  const pattern =
    /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|\[([^\]]{1,300})\]\((https?:\/\/[^\s)]{1,500})\)|(https?:\/\/[^\s<>()]{1,500})/g;
  const parts: ComponentChildren[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    const [whole, code, strong, emphasis, label, target, bare] = match;
    parts.push(text.slice(end, match.index));
    end = match.index + whole.length;
    if (code !== undefined) parts.push(<code>{code}</code>);
    else if (strong !== undefined) parts.push(<strong>{strong}</strong>);
    else if (emphasis !== undefined) parts.push(<em>{emphasis}</em>);
    else
      parts.push(
        <a href={target ?? bare ?? ''} rel="nofollow noopener noreferrer">
          {label ?? bare}
        </a>,
      );
  }
  parts.push(text.slice(end));
  return parts;
}
