import { readFileSync } from 'node:fs';
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
  /** The context that `context use` chose. */
  currentContext?: string;
  /** Sent with every request to the engine. */
  HttpHeaders?: Readonly<Record<string, string>>;
  /** What containers and builds are told of proxies: for an engine's address, else under `default`. */
  proxies?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  psFormat?: string;
  imagesFormat?: string;
  networksFormat?: string;
  volumesFormat?: string;
  statsFormat?: string;
  /** Added to what every prune is told, e.g. `label!=keep`. */
  pruneFilters?: readonly string[];
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
