import { readFileSync } from 'node:fs';
import { messageOf } from '#errors/index.ts';
import { Failure } from './failure.ts';

/**
 * Reads `NAME=value` lines; blank ones and those that begin with `#` are passed over. A bare NAME takes its value from
 * `environment`, and is left out where that has none. @throws Failure for a file that cannot be read, a name with a blank in it
 */
export function readPairsFile(path: string, environment?: NodeJS.ProcessEnv): readonly string[] {
  let content: string;
  try {
    content = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(readFileSync(path));
  } catch (error) {
    throw new Failure(`open ${path}: ${messageOf(error)}`, 125);
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

/** `-e` values: `NAME=value` as it is, a bare NAME with the value it has here, or left out. @throws Failure */
export function environmentOf(
  files: readonly string[],
  given: readonly string[],
  environment: NodeJS.ProcessEnv,
): readonly string[] {
  return [
    ...files.flatMap((path) => readPairsFile(path, environment)),
    ...given.flatMap((pair) => {
      if (pair === '' || pair.startsWith('=')) throw new Failure(`invalid environment variable: ${pair}`, 125);
      return pair.includes('=') ? [pair] : fromEnvironment(pair, environment);
    }),
  ];
}

function fromEnvironment(name: string, environment: NodeJS.ProcessEnv | undefined): readonly string[] {
  if (environment === undefined) return [`${name}=`];
  const value = environment[name];
  return value === undefined ? [] : [`${name}=${value}`];
}
