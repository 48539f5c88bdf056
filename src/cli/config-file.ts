import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '#errors/index.ts';
import { Failure } from './failure.ts';

export interface StoredAuth {
  readonly auth?: string;
  readonly identitytoken?: string;
}

/** The client's config.json, as Docker's clients keep it. Fields that are not ours are kept as they are. */
export interface ConfigFile {
  auths?: Record<string, StoredAuth>;
  credsStore?: string;
  credHelpers?: Record<string, string>;
  detachKeys?: string;
  readonly [other: string]: unknown;
}

export const configPath = (directory: string): string => `${directory}/config.json`;

/** Reads the file; an absent one is empty. @throws Failure naming the file where it is no JSON object */
export function readConfig(directory: string): ConfigFile {
  const path = configPath(directory);
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || (error as NodeJS.ErrnoException).code === 'ENOTDIR')
      return {};
    throw new Failure(`the client's configuration ${path} cannot be read: ${messageOf(error)}`, 1);
  }
  try {
    const parsed: unknown = JSON.parse(content.trim() === '' ? '{}' : content);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
      throw new Error('it is not a JSON object');
    return parsed as ConfigFile;
  } catch (error) {
    throw new Failure(`the client's configuration ${path} cannot be read: ${messageOf(error)}`, 1);
  }
}

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
