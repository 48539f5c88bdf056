import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { EngineTls } from '#client/index.ts';
import { messageOf } from '#errors/index.ts';
import { Failure } from './failure.ts';

/** A context as Docker's clients keep it: `contexts/meta/<sha256 of the name>/meta.json` in the client's folder. */
export interface Context {
  readonly Name: string;
  readonly Metadata: { readonly Description?: string; readonly [other: string]: unknown };
  readonly Endpoints: { readonly docker?: DockerEndpoint; readonly [other: string]: unknown };
}

export interface DockerEndpoint {
  readonly Host?: string;
  readonly SkipTLSVerify: boolean;
}

/** The PEM files of a context, by name: `ca.pem`, `cert.pem`, `key.pem`. */
export type TlsFiles = Readonly<Record<string, Buffer>>;

export const tlsNames = ['ca.pem', 'cert.pem', 'key.pem'] as const;

const hashed = (name: string) => createHash('sha256').update(name).digest('hex');
export const metadataPath = (directory: string, name: string): string => `${directory}/contexts/meta/${hashed(name)}`;
export const tlsPath = (directory: string, name: string): string => `${directory}/contexts/tls/${hashed(name)}`;

/** @throws Failure for a name that no context may have */
export function checkContextName(name: string): void {
  if (name === '') throw new Failure('context name cannot be empty', 1);
  if (name === 'default') throw new Failure('"default" is a reserved context name', 1);
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$/.test(name))
    throw new Failure(
      `context name "${name}" is invalid, names are validated against regexp "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"`,
      1,
    );
}

export const contextExists = (directory: string, name: string): boolean =>
  existsSync(`${metadataPath(directory, name)}/meta.json`);

/** @throws Failure where there is none of that name, or its file cannot be read */
export function readContext(directory: string, name: string): Context {
  const path = `${metadataPath(directory, name)}/meta.json`;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new Failure(`context "${name}": context not found: open ${path}: no such file or directory`, 1);
    throw new Failure(`context "${name}": ${messageOf(error)}`, 1);
  }
  return parseContext(text, path);
}

/** @throws Failure for what is no context's description */
export function parseContext(text: string, path: string): Context {
  let parsed: Partial<Context> | null;
  try {
    parsed = JSON.parse(text) as Partial<Context> | null;
  } catch (error) {
    throw new Failure(`the context in ${path} cannot be read: ${messageOf(error)}`, 1);
  }
  const { Name, Metadata, Endpoints } = parsed ?? {};
  if (typeof Name !== 'string' || typeof Endpoints !== 'object')
    throw new Failure(`the context in ${path} cannot be read: it has no name or no endpoints`, 1);
  return { Name, Metadata: Metadata ?? {}, Endpoints };
}

/** Every stored context, by name. One whose file is broken is left out. */
export function listContexts(directory: string): readonly Context[] {
  const root = `${directory}/contexts/meta`;
  return namesIn(root)
    .flatMap((entry) => {
      const path = `${root}/${entry}/meta.json`;
      return existsSync(path) ? [parseContext(readFileSync(path, 'utf8'), path)] : [];
    })
    .toSorted((a, b) => (a.Name < b.Name ? -1 : 1));
}

/** Writes a context, replacing what was there; the key files only their owner may read. */
export function writeContext(directory: string, context: Context, tls: TlsFiles | undefined): void {
  const folder = metadataPath(directory, context.Name);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const temporary = `${folder}/.meta.${randomBytes(6).toString('hex')}`;
  writeFileSync(temporary, JSON.stringify(context), { mode: 0o644, flag: 'wx', flush: true });
  renameSync(temporary, `${folder}/meta.json`);
  if (tls === undefined) return;
  rmSync(tlsPath(directory, context.Name), { recursive: true, force: true });
  if (Object.keys(tls).length === 0) return;
  const keys = `${tlsPath(directory, context.Name)}/docker`;
  mkdirSync(keys, { recursive: true, mode: 0o700 });
  for (const [file, content] of Object.entries(tls)) writeFileSync(`${keys}/${file}`, content, { mode: 0o600 });
}

export function removeContext(directory: string, name: string): void {
  rmSync(metadataPath(directory, name), { recursive: true, force: true });
  rmSync(tlsPath(directory, name), { recursive: true, force: true });
}

/** The PEM files that a context keeps for the engine's endpoint. */
export function readTls(directory: string, name: string): TlsFiles {
  const keys = `${tlsPath(directory, name)}/docker`;
  return Object.fromEntries(namesIn(keys).map((file) => [file, readFileSync(`${keys}/${file}`)]));
}

/** Where a context's engine is, and what to show it. @throws Failure where there is no such context */
export function contextEndpoint(directory: string, name: string): { host: string; tls: EngineTls | undefined } {
  let context: Context;
  try {
    context = readContext(directory, name);
  } catch (error) {
    throw new Failure(`Failed to initialize: unable to resolve docker endpoint: ${messageOf(error)}`, 1);
  }
  const host = context.Endpoints.docker?.Host;
  if (!host) throw new Failure(`context "${name}" names no engine: it has no docker endpoint`, 1);
  const skip = context.Endpoints.docker?.SkipTLSVerify ?? false;
  const files = readTls(directory, name);
  const [ca, cert, key] = tlsNames.map((file) => files[file]?.toString('utf8'));
  const tls = skip || ca || cert || key ? { ca, cert, key, verify: !skip } : undefined;
  return { host, tls };
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
