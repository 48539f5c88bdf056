// What a shell's completion asks: the words so far, answered with what may stand in place of the last one.
import type { CommandContext } from './command.ts';
import { flagKinds, wordKinds } from './completion-kinds.ts';
import { candidatesOf } from './completion-names.ts';
import { globalOptions } from './global-options.ts';
import { groupNames, groupSummary } from './help.ts';
import type { Option, Options } from './options.ts';
import { type ProgramEntry, program } from './program.ts';

/** One thing that may stand in place of the last word. */
export interface Candidate {
  readonly value: string;
  readonly about?: string;
}

export interface Completion {
  readonly candidates: readonly Candidate[];
  /** Files of this machine may stand there too. */
  readonly files: boolean;
}

/** What may be known of a word: names of the engine's, words of a list, files. */
export type Kind =
  | 'containers'
  | 'running'
  | 'stopped'
  | 'paused'
  | 'images'
  | 'networks'
  | 'volumes'
  | 'contexts'
  | 'registries'
  | 'runtimes'
  | 'commands'
  /** Containers, images, networks and volumes. */
  | 'objects'
  /** Files here, and containers' as `name:`. */
  | 'paths'
  | 'files'
  | readonly string[];

type Table = Readonly<Record<string, Option<unknown>>>;

const nothing: Completion = { candidates: [], files: false };

/** Completes the last of `words`, which follow the program's name and its own flags. */
export async function complete(context: CommandContext, words: readonly string[]): Promise<Completion> {
  const current = words.at(-1) ?? '';
  const found = await candidatesFor(context, words, current);
  return {
    files: found.files,
    candidates: found.candidates.filter(({ value }) => value.startsWith(current)),
  };
}

async function candidatesFor(context: CommandContext, words: readonly string[], current: string): Promise<Completion> {
  const [first = '', second = ''] = words;
  if (words.length <= 1 || first.startsWith('-'))
    return words.length > 1 || current.startsWith('-') ? await ofFlags(context, '', globalOptions, words) : ofProgram();
  const entry =
    (words.length > 2 ? program.find(({ names }) => names.includes(`${first} ${second}`)) : undefined) ??
    program.find(({ names }) => names.includes(first));
  if (words.length === 2 && groupNames.includes(first)) return ofGroup(first);
  if (entry === undefined) return nothing;
  const { options = {}, stopAtFirst = false } = (await entry.load()).command;
  return await ofCommand(context, entry, { options, stopAtFirst }, words.slice(entry.names.includes(first) ? 1 : 2));
}

const ofProgram = (): Completion => ({
  files: false,
  candidates: [
    ...program.flatMap(({ names: [name = ''], summary }) =>
      name.includes(' ') || name.startsWith('__') ? [] : [{ value: name, about: summary }],
    ),
    ...groupNames.map((value) => ({ value, about: groupSummary(value) })),
  ],
});

const ofGroup = (group: string): Completion => ({
  files: false,
  candidates: program.flatMap(({ names, summary }) =>
    names
      .filter((name) => name.startsWith(`${group} `))
      .map((name) => ({ value: name.slice(group.length + 1), about: summary })),
  ),
});

/** Where in its flags and words a command's line stands. */
interface Place {
  /** Words that are no flags, before the current one. */
  readonly positions: readonly string[];
  /** The flag whose value is being typed. */
  readonly valueFor: string | undefined;
  /** No more flags: after `--`, or in what belongs to the container. */
  readonly flagsEnded: boolean;
}

function placeIn(options: Options, before: readonly string[], stopAtFirst: boolean): Place {
  const table = options as Table;
  const byShort = new Map(Object.entries(table).map(([name, { short }]) => [short, name]));
  const positions: string[] = [];
  let valueFor: string | undefined;
  let flagsEnded = false;
  for (const word of before) {
    if (valueFor !== undefined) valueFor = undefined;
    else if (flagsEnded || !word.startsWith('-') || word === '-') {
      positions.push(word);
      if (stopAtFirst) flagsEnded = true;
    } else if (word === '--') flagsEnded = true;
    else {
      const name = word.startsWith('--') ? word.slice(2) : byShort.get(word.at(-1));
      const option = name !== undefined && Object.hasOwn(table, name) ? table[name] : undefined;
      if (option !== undefined && option.label !== '' && !word.includes('=')) valueFor = name;
    }
  }
  return { positions, valueFor, flagsEnded };
}

async function ofCommand(
  context: CommandContext,
  { names: [name = ''] }: ProgramEntry,
  { options, stopAtFirst }: { readonly options: Options; readonly stopAtFirst: boolean },
  words: readonly string[],
): Promise<Completion> {
  const current = words.at(-1) ?? '';
  const { positions, valueFor, flagsEnded } = placeIn(options, words.slice(0, -1), stopAtFirst);
  if (valueFor !== undefined || (!flagsEnded && current.startsWith('-')))
    return await ofFlags(context, name, options, words);
  const kinds = wordKinds[name] ?? [];
  const last = kinds.at(-1);
  const kind = kinds[positions.length]?.kind ?? (last?.repeats ? last.kind : undefined);
  if (kind === undefined) return nothing;
  const found = await candidatesOf(context, kind, current);
  return { ...found, candidates: found.candidates.filter(({ value }) => !positions.includes(value)) };
}

/** A flag's name, its value after a space, or its value after `=`. */
async function ofFlags(
  context: CommandContext,
  command: string,
  options: Options,
  words: readonly string[],
): Promise<Completion> {
  const table = options as Table;
  const current = words.at(-1) ?? '';
  const { valueFor } = placeIn(options, words.slice(0, -1), false);
  if (valueFor !== undefined) return await ofValue(context, command, valueFor, current);
  const [, flag] = /^--([\w-]+)=/.exec(current) ?? [];
  if (flag !== undefined) {
    const prefix = `--${flag}=`;
    const { candidates } = await ofValue(context, command, flag, current.slice(prefix.length));
    return { files: false, candidates: candidates.map((one) => ({ ...one, value: prefix + one.value })) };
  }
  return {
    files: false,
    candidates: Object.entries({ ...table })
      .filter(([, { hidden }]) => !hidden)
      .flatMap(([name, { short, help }]) => [
        { value: `--${name}`, about: help },
        ...(short === undefined || current !== `-${short}` ? [] : [{ value: `-${short}`, about: help }]),
      ])
      .concat({ value: '--help', about: 'Print usage' }),
  };
}

async function ofValue(context: CommandContext, command: string, flag: string, current: string): Promise<Completion> {
  const kind = flagKinds[`${command} --${flag}`] ?? flagKinds[`--${flag}`];
  return kind === undefined ? nothing : await candidatesOf(context, kind, current);
}
