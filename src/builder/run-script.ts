import { chmod, mkdtemp, writeFile } from 'node:fs/promises';
import type { Mount } from '#oci/index.ts';

/** Where a heredoc with a `#!` line is run from, as in BuildKit. */
export const scriptPath = '/dev/pipes/EOF';

/** A heredoc as a program that a step runs; it is mounted for the step and never part of its layer. */
export async function makeScript(scratch: string, body: string): Promise<Mount> {
  const path = `${await mkdtemp(`${scratch}/script-`)}/script`;
  await writeFile(path, body);
  await chmod(path, 0o755);
  return { destination: scriptPath, type: 'bind', source: path, options: ['rbind', 'rprivate', 'rro'] };
}
