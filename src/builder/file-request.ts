import { posix } from 'node:path';
import {
  type AddInstruction,
  type CopyInstruction,
  expandText,
  expandWord,
  frameError,
  type Lookup,
  type Word,
} from '#dockerfile/index.ts';
import { isUrl } from './add-url.ts';
import type { BuildSession } from './build-session.ts';
import { isGitSource } from './git-source.ts';
import { type ModeChange, parseMode } from './mode-change.ts';
import type { StageState } from './stage-state.ts';

/** A heredoc that becomes a file. */
export interface InlineFile {
  readonly name: string;
  readonly body: string;
}

/** Something that ADD fetches. */
export interface RemoteSource {
  readonly is: 'url' | 'git';
  readonly url: string;
  readonly word: Word;
}

/** COPY or ADD with its variables expanded. */
export interface FileRequest {
  readonly patterns: readonly string[];
  readonly remote: readonly RemoteSource[];
  readonly inline: readonly InlineFile[];
  readonly excludes: readonly string[];
  readonly destination: string;
  readonly directory: boolean;
  readonly parents: boolean;
  readonly link: boolean;
  readonly chown: { readonly text: string; readonly word: Word } | undefined;
  readonly mode: ModeChange | undefined;
  /** `sha256:…` of a URL's file; a commit of a git repository, or how it begins. */
  readonly checksum: string | undefined;
  readonly keepGitDirectory: boolean;
  /** Whether archives are unpacked; undefined: those of the context are, those from a URL are not. */
  readonly unpack: boolean | undefined;
}

/** @throws GantryError invalid, as a code frame */
export function expandFileInstruction(
  session: BuildSession,
  state: StageState,
  instruction: CopyInstruction | AddInstruction,
  lookup: Lookup,
): FileRequest {
  const { kind, chown, chmod } = instruction;
  const expand = (word: Word) => expandWord(word, lookup, session.file.escape);
  const isAdd = kind === 'ADD';
  const sources = instruction.sources.map((word) => ({ text: expand(word), word }));
  for (const { text, word } of sources) {
    if (text === '') throw frameError(word.span, `${kind}: the source ${word.text} is empty`);
    if (!isAdd && isUrl(text)) throw frameError(word.span, `source can't be a URL for COPY; use ADD ${text}`);
  }
  const remote = isAdd
    ? sources.flatMap(({ text, word }): RemoteSource[] =>
        isGitSource(text) ? [{ is: 'git', url: text, word }] : isUrl(text) ? [{ is: 'url', url: text, word }] : [],
      )
    : [];
  const local = sources.filter(({ word }) => !remote.some((one) => one.word === word)).map(({ text }) => text);
  const inline = instruction.heredocs.map(({ name, body, expand: variables, span }) => ({
    name: posix.basename(name),
    body: variables ? expandText(body, span, lookup, session.file.escape) : body,
  }));
  const destination = expand(instruction.destination);
  if (destination === '') throw frameError(instruction.destination.span, `${kind}: the destination is empty`);
  const parents = kind === 'COPY' && instruction.parents !== undefined;
  const directory = parents || /(?:^|\/)\.?$/.test(destination);
  if (sources.length + inline.length > 1 && !directory)
    throw frameError(instruction.destination.span, severalSources(kind));
  return {
    patterns: local,
    remote,
    inline,
    excludes: instruction.exclude.map((word) => posix.normalize(expand(word)).replace(/^\/+|\/+$/g, '')),
    destination: posix.resolve('/', state.config.WorkingDir ?? '/', destination),
    directory,
    parents,
    link: instruction.link !== undefined,
    chown: chown === undefined ? undefined : { text: expand(chown), word: chown },
    mode: chmod === undefined ? undefined : parseMode(expand(chmod), chmod),
    checksum: isAdd ? checksumOf(instruction, remote, sources.length, expand) : undefined,
    keepGitDirectory: isAdd && /^(?:true|1)$/i.test(instruction.keepGitDir?.text ?? ''),
    unpack: isAdd && instruction.unpack !== undefined ? /^(?:true|1)$/i.test(instruction.unpack.text) : undefined,
  };
}

function checksumOf(
  { checksum }: AddInstruction,
  remote: readonly RemoteSource[],
  sources: number,
  expand: (word: Word) => string,
): string | undefined {
  if (checksum === undefined) return undefined;
  const text = expand(checksum);
  const [only] = remote;
  if (only === undefined || sources !== 1)
    throw frameError(checksum.span, '--checksum can only be used with one URL or git repository');
  if (only.is === 'git' ? !/^[0-9a-f]{7,64}$/.test(text) : !/^sha256:[0-9a-f]{64}$/.test(text))
    throw frameError(
      checksum.span,
      only.is === 'git'
        ? `--checksum="${text}" is not a commit`
        : `--checksum="${text}" is not sha256: and 64 hex digits`,
    );
  return text;
}

export const severalSources = (kind: string): string =>
  `When using ${kind} with more than one source file, the destination must be a directory and end with a /`;
