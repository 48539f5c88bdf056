import { isGantryError, messageOf } from '#errors/index.ts';

/** Ends the command with this exit code after printing the message. An empty message prints nothing. */
export class Failure extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** What is printed of an error: the engine's own are marked as such, as Docker marks them. */
export function errorText(error: unknown): string {
  if (isGantryError(error) && error.code === 'engine-response') return `Error response from daemon: ${error.message}`;
  return messageOf(error);
}

const problems: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
  ENOTDIR: 'not a directory',
};

/** A file that could not be opened, as Docker words it: `open /x: no such file or directory`. */
export const openProblem = (path: string, error: unknown): string =>
  `open ${path}: ${problems[(error as NodeJS.ErrnoException).code ?? ''] ?? messageOf(error)}`;
