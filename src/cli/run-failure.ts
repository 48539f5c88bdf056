import { errorText, Failure } from './failure.ts';

/**
 * The exit code Docker gives where a container could not be started: 127 for a command that is not there, 126 for one
 * that cannot be run, else 125.
 */
export function startExitCode(message: string): number {
  if (/executable file not found|no such file or directory|system cannot find the file specified/.test(message))
    return 127;
  if (/permission denied|is a directory|exec format error/.test(message)) return 126;
  return 125;
}

/** An error of `run`, worded and numbered as Docker does. */
export function runFailure(calledAs: string, error: unknown, exitCode = 125): Failure {
  if (error instanceof Failure && error.message === '') return error;
  return new Failure(
    `gantry: ${errorText(error).replace(/\.$/, '.')}\n\nRun 'gantry ${calledAs} --help' for more information`,
    exitCode,
  );
}
