import { type EngineClient, jsonLines, type ProgressLine } from '#client/index.ts';
import { familiarName, type Reference } from '#oci/index.ts';
import { showProgress } from './progress-display.ts';
import { authHeader, credentialsFor } from './registry-credentials.ts';
import { isTerminal, windowSize } from './terminal.ts';

export interface PullOptions {
  readonly platform: string;
  readonly quiet: boolean;
  /** Where progress goes: `pull` to stdout, `run` to stderr. */
  readonly to: { readonly fd: 1 | 2; readonly write: (text: string) => void };
}

/** Asks the engine to pull, with what the client knows to sign in, and shows its progress. */
export async function pullImage(
  { engine, configDirectory }: { engine: EngineClient; configDirectory: string },
  reference: Reference,
  { platform, quiet, to }: PullOptions,
): Promise<void> {
  const auth = await credentialsFor(configDirectory, reference.registry);
  const { body } = await engine.stream('POST', '/images/create', {
    query: {
      fromImage: familiarName(reference),
      tag: reference.digest ?? reference.tag,
      platform: platform === '' ? undefined : platform,
    },
    headers: { 'X-Registry-Auth': authHeader(auth ?? {}) },
  });
  const terminal = isTerminal(to.fd);
  await showProgress(jsonLines<ProgressLine>(body), {
    write: quiet ? () => {} : to.write,
    terminal,
    ...(terminal ? { columns: windowSize()?.columns ?? 80 } : {}),
  });
}
