import type { InstructionKind, Word } from './instructions.ts';
import type { LogicalLine } from './logical-lines.ts';
import { didYouMean } from './nearest.ts';
import { frameError } from './source.ts';
import { splitWords } from './words.ts';

type FlagKind = 'value' | 'boolean' | 'list';

const files = { chown: 'value', chmod: 'value', link: 'boolean', exclude: 'list' } as const;
const known: Partial<Readonly<Record<InstructionKind, Readonly<Record<string, FlagKind>>>>> = {
  FROM: { platform: 'value' },
  RUN: { mount: 'list', network: 'value', security: 'value' },
  COPY: { ...files, from: 'value', parents: 'boolean' },
  ADD: { ...files, checksum: 'value', 'keep-git-dir': 'boolean', unpack: 'boolean' },
  HEALTHCHECK: {
    interval: 'value',
    timeout: 'value',
    'start-period': 'value',
    'start-interval': 'value',
    retries: 'value',
  },
};

/** The flags of an instruction and the offset where its arguments begin. */
export interface Flags {
  one(name: string): Word | undefined;
  all(name: string): readonly Word[];
  readonly rest: number;
}

/** Reads `--name=value` words up to the first other word. @throws GantryError invalid for one that is not known */
export function readFlags(line: LogicalLine, kind: InstructionKind, from: number, escapeToken: string): Flags {
  const found = new Map<string, Word[]>();
  const table = known[kind] ?? {};
  let rest = from;
  for (const word of splitWords(line.text, from, escapeToken)) {
    rest = word.start;
    if (!word.text.startsWith('--')) break;
    rest = word.end;
    if (word.text === '--') break;
    const equals = word.text.indexOf('=');
    const name = word.text.slice(2, equals < 0 ? undefined : equals);
    const span = line.span(word.start, word.end);
    const type = Object.hasOwn(table, name) ? table[name] : undefined;
    if (type === undefined) {
      const names = Object.keys(table);
      const hint = names.length === 0 ? `; ${kind} takes no flags` : didYouMean(name, names);
      throw frameError(span, `unknown flag "--${name}" of ${kind}${hint}`);
    }
    if (equals < 0 && type !== 'boolean') throw frameError(span, `flag --${name} needs a value: --${name}=…`);
    const text = equals < 0 ? 'true' : word.text.slice(equals + 1);
    if (type === 'boolean' && !/^(?:true|false|1|0)$/i.test(text))
      throw frameError(span, `flag --${name} is true or false, not "${text}"`);
    const value = { text, span: equals < 0 ? span : line.span(word.start + equals + 1, word.end) };
    const earlier = found.get(name);
    if (earlier !== undefined && type !== 'list') throw frameError(span, `flag --${name} is given twice`);
    found.set(name, [...(earlier ?? []), value]);
  }
  return { one: (name) => found.get(name)?.[0], all: (name) => found.get(name) ?? [], rest };
}
