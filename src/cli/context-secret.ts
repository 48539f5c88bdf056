import { createHmac, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

/**
 * A secret of this user's, under which the engine keeps the directories it was sent: who does not know it gets nothing of
 * them. Undefined where none can be kept; then directories are sent whole.
 */
export function contextSecret(configDirectory: string): string | undefined {
  const path = `${configDirectory}/build-contexts.key`;
  const read = () => /^[0-9a-f]{64}$/.exec(readFileSync(path, 'utf8').trim())?.[0];
  try {
    return read();
  } catch {
    // It is not there yet.
  }
  try {
    mkdirSync(configDirectory, { recursive: true, mode: 0o700 });
    writeFileSync(path, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600, flag: 'wx' });
    return read();
  } catch {
    return undefined; // a home that cannot be written
  }
}

/** What one directory is kept under. */
export const contextKey = (secret: string, directory: string): string =>
  createHmac('sha256', secret).update(directory).digest('hex');
