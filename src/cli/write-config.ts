import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '#errors/index.ts';
import { type ConfigFile, configPath } from './config-file.ts';
import { Failure } from './failure.ts';

/** Writes the file whole or not at all, through a symbolic link to what it points at; only its owner may read it. */
export function writeConfig(directory: string, config: ConfigFile): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  let path = configPath(directory);
  let owner: { uid: number; gid: number } | undefined;
  try {
    path = realpathSync(path);
    owner = statSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const temporary = `${dirname(path)}/.config.json.${randomBytes(6).toString('hex')}`;
  try {
    writeFileSync(temporary, `${JSON.stringify(config, null, '\t')}\n`, { mode: 0o600, flag: 'wx', flush: true });
    if (owner !== undefined) chmodSync(temporary, 0o600);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new Failure(`the client's configuration ${path} cannot be written: ${messageOf(error)}`, 1);
  }
}
