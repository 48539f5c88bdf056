import type { Heredoc } from './logical-lines.ts';
import type { Span } from './source.ts';

/** Text of the file with its place; quotes, escapes and variables are still in it until it is expanded. */
export interface Word {
  readonly text: string;
  readonly span: Span;
}

export interface Pair {
  readonly key: Word;
  readonly value: Word;
}

/** The JSON form, or text for the shell. */
export type Command =
  | { readonly form: 'exec'; readonly args: readonly string[] }
  | { readonly form: 'shell'; readonly text: string; readonly heredocs: readonly Heredoc[] };

interface Placed {
  readonly span: Span;
  /** The instruction as one line, as shown in `Step 1/9 : …` and kept in the history. */
  readonly original: string;
}

export interface FromInstruction extends Placed {
  readonly kind: 'FROM';
  readonly image: Word;
  /** Lower case. */
  readonly name?: string;
  readonly platform?: Word;
}

export interface RunInstruction extends Placed {
  readonly kind: 'RUN';
  readonly command: Command;
  readonly mounts: readonly Word[];
  readonly network?: Word;
  readonly security?: Word;
}

interface FileInstruction extends Placed {
  readonly sources: readonly Word[];
  /** Here-documents among the sources: each is a file named as its delimiter. */
  readonly heredocs: readonly Heredoc[];
  readonly destination: Word;
  readonly chown?: Word;
  readonly chmod?: Word;
  readonly link?: Word;
  readonly exclude: readonly Word[];
}

export interface CopyInstruction extends FileInstruction {
  readonly kind: 'COPY';
  readonly from?: Word;
  readonly parents?: Word;
}

export interface AddInstruction extends FileInstruction {
  readonly kind: 'ADD';
  readonly checksum?: Word;
  readonly keepGitDir?: Word;
  readonly unpack?: Word;
}

export interface EnvInstruction extends Placed {
  readonly kind: 'ENV';
  readonly pairs: readonly Pair[];
}

export interface LabelInstruction extends Placed {
  readonly kind: 'LABEL';
  readonly pairs: readonly Pair[];
}

export interface ArgInstruction extends Placed {
  readonly kind: 'ARG';
  readonly args: readonly { readonly name: Word; readonly value?: Word }[];
}

/** Instructions of one word. */
export interface WordInstruction extends Placed {
  readonly kind: 'WORKDIR' | 'USER' | 'STOPSIGNAL';
  readonly value: Word;
}

/** Instructions of a list of words. */
export interface ListInstruction extends Placed {
  readonly kind: 'EXPOSE' | 'VOLUME';
  readonly values: readonly Word[];
}

export interface CommandInstruction extends Placed {
  readonly kind: 'CMD' | 'ENTRYPOINT';
  readonly command: Command;
}

/** Durations in nanoseconds. `test` is absent for `HEALTHCHECK NONE`. */
export interface HealthcheckInstruction extends Placed {
  readonly kind: 'HEALTHCHECK';
  readonly test?: Command;
  readonly interval?: number;
  readonly timeout?: number;
  readonly startPeriod?: number;
  readonly startInterval?: number;
  readonly retries?: number;
}

export interface ShellInstruction extends Placed {
  readonly kind: 'SHELL';
  readonly args: readonly string[];
}

export interface OnBuildInstruction extends Placed {
  readonly kind: 'ONBUILD';
  /** The trigger as text, parsed again by the build that inherits it. */
  readonly trigger: string;
}

export interface MaintainerInstruction extends Placed {
  readonly kind: 'MAINTAINER';
  readonly name: string;
}

export type Instruction =
  | FromInstruction
  | RunInstruction
  | CopyInstruction
  | AddInstruction
  | EnvInstruction
  | LabelInstruction
  | ArgInstruction
  | WordInstruction
  | ListInstruction
  | CommandInstruction
  | HealthcheckInstruction
  | ShellInstruction
  | OnBuildInstruction
  | MaintainerInstruction;

export type InstructionKind = Instruction['kind'];

export const instructionKinds: readonly InstructionKind[] = [
  'ADD',
  'ARG',
  'CMD',
  'COPY',
  'ENTRYPOINT',
  'ENV',
  'EXPOSE',
  'FROM',
  'HEALTHCHECK',
  'LABEL',
  'MAINTAINER',
  'ONBUILD',
  'RUN',
  'SHELL',
  'STOPSIGNAL',
  'USER',
  'VOLUME',
  'WORKDIR',
];
