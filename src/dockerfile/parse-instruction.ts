import { parseDuration } from './duration.ts';
import { type Flags, readFlags } from './flags.ts';
import {
  type Command,
  type Instruction,
  type InstructionKind,
  instructionKinds,
  type Pair,
  type Word,
} from './instructions.ts';
import type { LogicalLine } from './logical-lines.ts';
import { didYouMean } from './nearest.ts';
import { frameError, type Span } from './source.ts';
import { type RawWord, splitBlanks, splitWords } from './words.ts';

const isKind = (text: string): text is InstructionKind => (instructionKinds as readonly string[]).includes(text);
const stageName = /^[a-z][a-z0-9-_.]*$/;
const notInTriggers: readonly InstructionKind[] = ['ONBUILD', 'FROM', 'MAINTAINER'];

/** What is left of a line behind the keyword and its flags. */
interface Arguments {
  readonly text: string;
  readonly start: number;
  readonly span: Span;
}

/** One logical line as a typed instruction. @throws GantryError invalid, as a code frame */
export function parseInstruction(line: LogicalLine, escapeToken: string): Instruction {
  const keyword = /^\s*(\S+)/.exec(line.text);
  const begin = line.text.length - line.text.trimStart().length;
  return parseAt(line, begin, begin + (keyword?.[1]?.length ?? 0), escapeToken);
}

function parseAt(line: LogicalLine, begin: number, keywordEnd: number, escapeToken: string): Instruction {
  const written = line.text.slice(begin, keywordEnd);
  const kind = written.toUpperCase();
  const keywordSpan = line.span(begin, keywordEnd);
  if (!isKind(kind))
    throw frameError(keywordSpan, `unknown instruction "${written}"${didYouMean(kind, instructionKinds)}`);
  const flags = readFlags(line, kind, keywordEnd, escapeToken);
  const text = line.text.slice(flags.rest).trim();
  const start = text === '' ? line.text.length : line.text.indexOf(text, flags.rest);
  const end = start + text.length;
  const args: Arguments = { text, start, span: text === '' ? keywordSpan : line.span(start, end) };
  const placed = {
    span: line.span(begin, Math.max(end, keywordEnd)),
    original: `${kind} ${line.text.slice(keywordEnd).trim()}`.trimEnd(),
  };
  const need = (what: string) => {
    if (text === '') throw frameError(keywordSpan, `${kind} needs ${what}`);
  };
  const word = ({ text: value, start: from, end: to }: RawWord): Word => ({ text: value, span: line.span(from, to) });
  const quoted = () => splitWords(line.text, start, escapeToken).map(word);
  const list = (): readonly Word[] =>
    jsonForm(args)?.map((item) => ({ text: quoteForExpansion(item, escapeToken), span: args.span })) ??
    splitBlanks(line.text, start).map(word);
  const command = (): Command => {
    const json = jsonForm(args);
    return json === undefined ? { form: 'shell', text, heredocs: line.heredocs } : { form: 'exec', args: json };
  };

  switch (kind) {
    case 'FROM': {
      need('an image, an earlier stage or scratch');
      const words = quoted();
      const [image, as, name, more] = words;
      if (
        image === undefined ||
        more !== undefined ||
        words.length === 2 ||
        (as !== undefined && !/^as$/i.test(as.text))
      )
        throw frameError(args.span, 'FROM requires either one or three arguments: FROM image [AS name]');
      if (name !== undefined && !stageName.test(name.text.toLowerCase()))
        throw frameError(
          name.span,
          `invalid name for build stage: "${name.text}", name can't start with a number or contain symbols`,
        );
      return {
        kind,
        ...placed,
        image,
        ...(name === undefined ? {} : { name: name.text.toLowerCase() }),
        ...optional('platform', flags.one('platform')),
      };
    }
    case 'RUN':
      need('a command');
      return {
        kind,
        ...placed,
        command: command(),
        mounts: flags.all('mount'),
        ...optional('network', flags.one('network')),
        ...optional('security', flags.one('security')),
      };
    case 'COPY':
    case 'ADD': {
      need('sources and a destination');
      const words = list();
      const destination = words.at(-1);
      if (destination === undefined || words.length < 2)
        throw frameError(args.span, `${kind} requires at least two arguments: sources and a destination`);
      const isHeredoc = ({ span }: Word) =>
        line.heredocs.some((h) => h.span.start.line === span.start.line && h.span.start.column === span.start.column);
      if (isHeredoc(destination)) throw frameError(destination.span, `${kind} needs a destination behind its heredocs`);
      const shared = {
        ...placed,
        sources: words.slice(0, -1).filter((source) => !isHeredoc(source)),
        heredocs: line.heredocs,
        destination,
        exclude: flags.all('exclude'),
        ...optional('chown', flags.one('chown')),
        ...optional('chmod', flags.one('chmod')),
        ...optional('link', set(flags, 'link')),
      };
      return kind === 'COPY'
        ? { kind, ...shared, ...optional('from', flags.one('from')), ...optional('parents', set(flags, 'parents')) }
        : {
            kind,
            ...shared,
            ...optional('checksum', flags.one('checksum')),
            ...optional('keepGitDir', set(flags, 'keep-git-dir')),
            ...optional('unpack', flags.one('unpack')),
          };
    }
    case 'ENV':
    case 'LABEL':
      need('key=value');
      return { kind, ...placed, pairs: pairsOf(line, args, kind, escapeToken) };
    case 'ARG': {
      need('a name');
      return {
        kind,
        ...placed,
        args: splitWords(line.text, start, escapeToken).map((raw) => {
          const equals = raw.text.indexOf('=');
          if (equals === 0) throw frameError(line.span(raw.start, raw.end), 'ARG names can not be blank');
          if (equals < 0) return { name: word(raw) };
          return { name: part(line, raw, 0, equals), value: part(line, raw, equals + 1, raw.text.length) };
        }),
      };
    }
    case 'WORKDIR':
    case 'USER':
    case 'STOPSIGNAL': {
      need('a value');
      if (kind === 'STOPSIGNAL' && quoted().length !== 1)
        throw frameError(args.span, 'STOPSIGNAL requires exactly one argument');
      return { kind, ...placed, value: { text, span: args.span } };
    }
    case 'EXPOSE':
      need('a port');
      return { kind, ...placed, values: splitBlanks(line.text, start).map(word) };
    case 'VOLUME': {
      need('a path');
      const values = list();
      if (values.length === 0 || values.some((value) => value.text === ''))
        throw frameError(args.span, 'VOLUME specified can not be an empty string');
      return { kind, ...placed, values };
    }
    case 'CMD':
    case 'ENTRYPOINT':
      if (text === '') return { kind, ...placed, command: { form: 'exec', args: [] } };
      return { kind, ...placed, command: command() };
    case 'HEALTHCHECK':
      need('NONE or CMD and a command');
      return { kind, ...placed, ...healthcheck(line, args, flags) };
    case 'SHELL': {
      need('a JSON array');
      const json = jsonForm(args);
      if (json === undefined || json.length === 0)
        throw frameError(args.span, 'SHELL requires the arguments to be in JSON form: SHELL ["/bin/sh", "-c"]');
      return { kind, ...placed, args: json };
    }
    case 'ONBUILD': {
      need('an instruction');
      const [, inner = ''] = /^(\S+)/.exec(text) ?? [];
      const innerKind = inner.toUpperCase();
      if ((notInTriggers as readonly string[]).includes(innerKind))
        throw frameError(line.span(start, start + inner.length), `${innerKind} isn't allowed as an ONBUILD trigger`);
      if (line.heredocs.length > 0)
        throw frameError(args.span, 'heredocs in ONBUILD triggers are not supported', 'unsupported');
      parseAt(line, start, start + inner.length, escapeToken);
      return { kind, ...placed, trigger: text };
    }
    case 'MAINTAINER':
      need('a name');
      return { kind, ...placed, name: text };
  }
}

const optional = <K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: T };

/** A boolean flag's word where it is on. */
const set = (flags: Flags, name: string): Word | undefined => {
  const value = flags.one(name);
  return value !== undefined && /^(?:true|1)$/i.test(value.text) ? value : undefined;
};

const part = (line: LogicalLine, raw: RawWord, from: number, to: number): Word => ({
  text: raw.text.slice(from, to),
  span: line.span(raw.start + from, raw.start + to),
});

/** The strings of a JSON form; undefined where the text is none (Docker then takes it as shell form). */
function jsonForm({ text, span }: Arguments): readonly string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed)) return undefined;
  const strings = parsed.filter((item): item is string => typeof item === 'string');
  if (strings.length !== parsed.length) throw frameError(span, 'only string type is allowed in JSON format of arrays');
  return strings;
}

/** A JSON string keeps its blanks and quotes through expansion; its variables are still expanded. */
const quoteForExpansion = (text: string, escapeToken: string): string =>
  [...text]
    .map((char) => (char === '"' || char === "'" || char === escapeToken ? `${escapeToken}${char}` : char))
    .join('');

function pairsOf(line: LogicalLine, args: Arguments, kind: 'ENV' | 'LABEL', escapeToken: string): readonly Pair[] {
  const words = splitWords(line.text, args.start, escapeToken);
  const [first] = words;
  if (first === undefined) return [];
  const whole = args.start + args.text.length;
  if (!first.text.includes('=')) {
    const rest = line.text.slice(first.end, whole);
    const value = rest.trimStart();
    if (value === '') throw frameError(args.span, `${kind} must have two arguments: ${kind} ${first.text}=value`);
    return [
      {
        key: part(line, first, 0, first.text.length),
        value: { text: value, span: line.span(whole - value.length, whole) },
      },
    ];
  }
  return words.map((raw) => {
    const equals = raw.text.indexOf('=');
    const span = line.span(raw.start, raw.end);
    if (equals < 0)
      throw frameError(span, `Syntax error - can't find = in "${raw.text}". Must be of the form: name=value`);
    if (equals === 0) throw frameError(span, `${kind} names can not be blank`);
    return { key: part(line, raw, 0, equals), value: part(line, raw, equals + 1, raw.text.length) };
  });
}

function healthcheck(line: LogicalLine, args: Arguments, flags: Flags) {
  const [, type = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(args.text) ?? [];
  const typeSpan = line.span(args.start, args.start + type.length);
  if (type.toUpperCase() === 'NONE') {
    if (rest !== '') throw frameError(args.span, 'HEALTHCHECK NONE takes no arguments');
    return {};
  }
  if (type.toUpperCase() !== 'CMD')
    throw frameError(
      typeSpan,
      `unknown type "${type}" in HEALTHCHECK (try CMD)${didYouMean(type.toUpperCase(), ['CMD', 'NONE'])}`,
    );
  if (rest === '') throw frameError(args.span, 'missing command after HEALTHCHECK CMD');
  const json = jsonForm({ ...args, text: rest });
  const duration = (name: string): number | undefined => {
    const flag = flags.one(name);
    if (flag === undefined) return undefined;
    const value = parseDuration(flag.text);
    if (value === undefined)
      throw frameError(flag.span, `--${name}="${flag.text}" is not a duration; write 30s, 1m30s or 500ms`);
    if (value !== 0 && value < 1e6) throw frameError(flag.span, `--${name} cannot be less than 1ms`);
    return value;
  };
  const retries = flags.one('retries');
  if (retries !== undefined && !/^\d{1,9}$/.test(retries.text))
    throw frameError(retries.span, `--retries="${retries.text}" is not a number of at least 0`);
  const test: Command = json === undefined ? { form: 'shell', text: rest, heredocs: [] } : { form: 'exec', args: json };
  return {
    test,
    ...optional('interval', duration('interval')),
    ...optional('timeout', duration('timeout')),
    ...optional('startPeriod', duration('start-period')),
    ...optional('startInterval', duration('start-interval')),
    ...optional('retries', retries === undefined ? undefined : Number(retries.text)),
  };
}
