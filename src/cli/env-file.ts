import { readFileSync } from 'node:fs';
import { Failure, openProblem } from './failure.ts';

/**
 * Reads `NAME=value` lines; blank ones and those that begin with `#` are passed over. A bare NAME takes its value from
 * `environment`, and is left out where that has none. @throws Failure for a file that cannot be read, a name with a blank in it
 */
export function readPairsFile(path: string, environment?: NodeJS.ProcessEnv): readonly string[] {
  let content: string;
  try {
    content = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(readFileSync(path));
  } catch (error) {
    throw new Failure(openProblem(path, error), 125);
  }
  return content.split(/\r?\n/).flatMap((line, at) => {
    const trimmed = line.trimStart();
    if (trimmed === '' || trimmed.startsWith('#')) return [];
    const equals = trimmed.indexOf('=');
    const name = equals < 0 ? trimmed : trimmed.slice(0, equals);
    if (name === '')
      throw new Failure(`invalid variable in ${path}, line ${at + 1}: no variable name on line '${trimmed}'`, 125);
    if (/\s/.test(name))
      throw new Failure(`invalid variable in ${path}, line ${at + 1}: variable '${name}' contains whitespaces`, 125);
    return equals < 0 ? fromEnvironment(name, environment) : [trimmed];
  });
}

/** One `-e` value. @throws Error for one without a name */
export function checkVariable(written: string): string {
  if (written === '' || written.startsWith('=')) throw new Error(`invalid environment variable: ${written}`);
  return written;
}

/** `-e` values after those of files: `NAME=value` as it is, a bare NAME with the value it has here, or left out. */
export const environmentOf = (
  files: readonly string[],
  given: readonly string[],
  environment: NodeJS.ProcessEnv,
): readonly string[] => [
  ...files.flatMap((path) => readPairsFile(path, environment)),
  ...given.flatMap((pair) => (pair.includes('=') ? [pair] : fromEnvironment(pair, environment))),
];

function fromEnvironment(name: string, environment: NodeJS.ProcessEnv | undefined): readonly string[] {
  if (environment === undefined) return [`${name}=`];
  const value = environment[name];
  return value === undefined ? [] : [`${name}=${value}`];
}
