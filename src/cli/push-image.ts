import { jsonLines, type ProgressLine } from '#client/index.ts';
import { familiarName, parseReference } from '#oci/index.ts';
import type { CommandContext } from './command.ts';
import { writeOut } from './output.ts';
import { showProgress } from './progress-display.ts';
import { authHeader, credentialsFor } from './registry-credentials.ts';
import { isTerminal, windowSize } from './terminal.ts';

/** Pushes a tag, showing how it goes unless `quiet`. @throws Failure, GantryError */
export async function pushImage(
  { engine, configDirectory }: Pick<CommandContext, 'engine' | 'configDirectory'>,
  name: string,
  quiet: boolean,
): Promise<void> {
  const reference = parseReference(name);
  const auth = await credentialsFor(configDirectory, reference.registry);
  const { body } = await engine.stream('POST', `/images/${familiarName(reference)}/push`, {
    query: { tag: reference.tag },
    headers: { 'X-Registry-Auth': authHeader(auth ?? {}) },
  });
  const terminal = isTerminal(1);
  await showProgress(jsonLines<ProgressLine>(body), {
    write: quiet ? () => {} : writeOut,
    terminal,
    ...(terminal ? { columns: windowSize()?.columns ?? 80 } : {}),
  });
}
