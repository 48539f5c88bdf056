import type { EngineClient } from '#client/index.ts';
import { isGantryError } from '#errors/index.ts';
import { errorText, Failure } from './failure.ts';
import { indentJson } from './indent-json.ts';
import { writeError, writeOut } from './output.ts';

export type ObjectKind = 'container' | 'image' | 'network' | 'volume';

const paths: Readonly<Record<ObjectKind, (name: string) => string>> = {
  container: (name) => `/containers/${encodeURIComponent(name)}/json`,
  image: (name) => `/images/${name}/json`,
  network: (name) => `/networks/${encodeURIComponent(name)}`,
  volume: (name) => `/volumes/${encodeURIComponent(name)}`,
};

export interface InspectOptions {
  /** Tried in this order. */
  readonly kinds: readonly ObjectKind[];
  readonly format: string;
  readonly size?: boolean;
  /** Of networks: also what services and tasks use them. */
  readonly verbose?: boolean;
  /** What is said of a name that no kind knows, where several were tried. */
  readonly unknown?: (name: string) => string;
}

/** Prints the engine's own JSON of each named object, or what the template makes of it. */
export async function inspectObjects(
  engine: EngineClient,
  names: readonly string[],
  options: InspectOptions,
): Promise<number> {
  const found: string[] = [];
  const problems: string[] = [];
  for (const name of names) {
    try {
      found.push(await find(engine, name, options));
    } catch (error) {
      problems.push(errorText(error));
    }
  }
  return await writeInspected(found, problems, options.format);
}

/** Prints objects' JSON as `--format` asks, then what went wrong. @returns the exit code */
export async function writeInspected(
  found: readonly string[],
  told: readonly string[],
  format: string,
): Promise<number> {
  const render = format === '' || format === 'json' ? undefined : await templateOf(format);
  const problems = [...told];
  if (format === '') writeOut(found.length === 0 ? '[]\n' : `${indentJson(`[${found.join(',')}]`)}\n`);
  else if (render === undefined) writeOut(`[${found.join(',')}]\n`);
  else
    try {
      for (const text of found) writeOut(`${render(JSON.parse(text))}\n`);
      if (found.length === 0) writeOut('\n');
    } catch (error) {
      writeOut('\n');
      problems.push(`template parsing error: ${errorText(error)}`);
    }
  for (const problem of problems) writeError(`${problem}\n`);
  return problems.length > 0 ? 1 : 0;
}

async function find(
  engine: EngineClient,
  name: string,
  { kinds, unknown, size, verbose }: InspectOptions,
): Promise<string> {
  let last: unknown;
  for (const kind of kinds) {
    try {
      return (
        await engine.text('GET', paths[kind](name), {
          query: {
            size: (size && kind === 'container') || undefined,
            verbose: (verbose && kind === 'network') || undefined,
          },
        })
      ).trim();
    } catch (error) {
      // A name that one kind cannot even have may still be another's.
      if (!isGantryError(error, 'not-found') && !(kinds.length > 1 && isGantryError(error, 'invalid'))) throw error;
      last = error;
    }
  }
  throw unknown === undefined ? last : new Failure(unknown(name), 1);
}

async function templateOf(format: string): Promise<(data: unknown) => string> {
  const { parseTemplate } = await import('./go-template.ts');
  try {
    return parseTemplate(format);
  } catch (error) {
    throw new Failure(`template parsing error: ${errorText(error)}`, 64);
  }
}
