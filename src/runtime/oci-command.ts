import { execFile } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { GantryError } from '#errors/index.ts';

/** A program with runc's command line, and where it keeps its state (`--root`). */
export interface OciProgram {
  readonly name: string;
  readonly path: string;
  readonly stateRoot: string;
}

/** Its command line; what goes wrong it writes to `log`, a line of JSON each. */
export const ociCommand = (program: OciProgram, log: string, ...words: readonly string[]): readonly string[] => [
  program.path,
  '--root',
  program.stateRoot,
  '--log',
  log,
  '--log-format',
  'json',
  ...words,
];

/** The last error in a log; undefined where it says none. */
function lastError(log: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(log, 'utf8');
  } catch {
    return undefined; // it ended before it could say why
  }
  for (const line of text.trimEnd().split('\n').reverse()) {
    try {
      const { level, msg } = JSON.parse(line) as { readonly level?: string; readonly msg?: string };
      if ((level === 'error' || level === 'fatal') && msg !== undefined) return msg;
    } catch {
      // Not a line of its log.
    }
  }
  return undefined;
}

/**
 * What a runtime's failure means, in the words of container-runtime.ts#Task.start: the texts of runc and crun are matched,
 * since their exit status says nothing.
 */
export function ociError({ name }: OciProgram, message: string, cause?: unknown): GantryError {
  const error = (kind: 'not-found' | 'forbidden' | 'conflict' | 'invalid', code: string, text = message) =>
    new GantryError(kind, `${name}: ${text}`, { code, cause });
  if (/exec format error/i.test(message)) return error('forbidden', 'command-not-executable');
  // Clients know Docker's words, which are runc's.
  const [, command] = /^executable file `(.*)` not found in \$PATH/.exec(message) ?? [];
  if (command !== undefined)
    return error('not-found', 'command-not-found', `exec: "${command}": executable file not found in $PATH`);
  if (/executable file .*not found in \$PATH|(exec|stat|executable)[^:]*:? ?.*no such file or directory/i.test(message))
    return error('not-found', 'command-not-found');
  if (/^open executable: operation not permitted/i.test(message))
    return error('forbidden', 'command-not-executable', `exec: permission denied: ${message}`);
  if (
    /(exec|open executable|starting container process).*(permission denied|operation not permitted|is a directory)/i.test(
      message,
    )
  )
    return error('forbidden', 'command-not-executable');
  if (/does not exist/i.test(message)) return error('conflict', 'not-running');
  if (/already exists|in use/i.test(message)) return error('conflict', 'conflict');
  return error('invalid', 'runtime-failed');
}

/** The error of a failed command, from its log. `failure` is what is known without it. */
export function errorFromLog(program: OciProgram, log: string, failure: unknown): unknown {
  if (!(failure instanceof GantryError) || failure.code !== 'command-failed') return failure;
  const message = lastError(log);
  return message === undefined ? failure : ociError(program, message, failure);
}

/** Runs one of its commands to its end. @throws GantryError of what it says */
export async function runOci(program: OciProgram, log: string, ...words: readonly string[]): Promise<void> {
  rmSync(log, { force: true });
  const [file = '', ...args] = ociCommand(program, log, ...words);
  const done = Promise.withResolvers<void>();
  execFile(file, args, { timeout: 30_000, killSignal: 'SIGKILL' }, (cause, _stdout, stderr) => {
    if (cause === null) done.resolve();
    else done.reject(ociError(program, lastError(log) ?? (stderr.trim() || cause.message), cause));
  });
  await done.promise;
}
