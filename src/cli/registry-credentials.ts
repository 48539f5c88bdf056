import { spawn } from 'node:child_process';
import { messageOf } from '#errors/index.ts';
import { type ConfigFile, readConfig } from './config-file.ts';
import { Failure } from './failure.ts';
import { writeConfig } from './write-config.ts';

/** What a registry is told of its user; as it stands in X-Registry-Auth. */
export interface RegistryAuth {
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly serveraddress?: string;
}

const dockerHub = 'https://index.docker.io/v1/';

/** The key under which a registry's credentials are kept: its host, or Docker Hub's old address. */
export const credentialKey = (registry: string): string =>
  registry === 'docker.io' || registry === 'index.docker.io' || registry === '' ? dockerHub : hostOf(registry);

const hostOf = (address: string): string => address.replace(/^https?:\/\//, '').replace(/\/.*$/, '');

/** Credentials for a registry host, from a helper program or the file; undefined where there are none. */
export async function credentialsFor(directory: string, registry: string): Promise<RegistryAuth | undefined> {
  const config = readConfig(directory);
  const key = credentialKey(registry);
  const helper = config.credHelpers?.[key] ?? config.credHelpers?.[hostOf(key)] ?? config.credsStore;
  return helper ? await fromHelper(helper, key) : fromFile(config, key);
}

/** All stored credentials by registry, as `build` sends them along. */
export async function allCredentials(directory: string): Promise<Record<string, RegistryAuth>> {
  const config = readConfig(directory);
  const keys = new Set([...Object.keys(config.auths ?? {}), ...Object.keys(config.credHelpers ?? {})]);
  const all: Record<string, RegistryAuth> = {};
  for (const key of keys) {
    const auth = await credentialsFor(directory, key === dockerHub ? 'docker.io' : key);
    if (auth !== undefined) all[key] = auth;
  }
  return all;
}

/** Keeps credentials; returns whether they now stand unencrypted in the file, without a helper program. */
export async function storeCredentials(
  directory: string,
  key: string,
  auth: Required<Pick<RegistryAuth, 'username' | 'password'>> & RegistryAuth,
): Promise<boolean> {
  const config = readConfig(directory);
  const helper = config.credHelpers?.[key] ?? config.credsStore;
  if (helper) {
    const secret = auth.identitytoken
      ? { Username: '<token>', Secret: auth.identitytoken }
      : { Username: auth.username, Secret: auth.password };
    await callHelper(helper, 'store', JSON.stringify({ ServerURL: key, ...secret }));
    writeConfig(directory, { ...config, auths: { ...config.auths, [key]: {} } });
    return false;
  }
  const encoded = Buffer.from(`${auth.username}:${auth.identitytoken ? '' : auth.password}`).toString('base64');
  const entry = { auth: encoded, ...(auth.identitytoken ? { identitytoken: auth.identitytoken } : {}) };
  writeConfig(directory, { ...config, auths: { ...config.auths, [key]: entry } });
  return true;
}

/** Forgets a registry's credentials, also under the old spellings with a scheme. */
export async function eraseCredentials(directory: string, key: string): Promise<void> {
  const config = readConfig(directory);
  const helper = config.credHelpers?.[key] ?? config.credsStore;
  if (helper) await callHelper(helper, 'erase', key);
  const spellings = Object.keys(config.auths ?? {}).filter((known) => known === key || hostOf(known) === key);
  if (spellings.length === 0) return;
  const auths = Object.fromEntries(Object.entries(config.auths ?? {}).filter(([known]) => !spellings.includes(known)));
  writeConfig(directory, { ...config, auths });
}

/** A header's value: base64url with padding, as Docker's engine insists. */
export const authHeader = (auth: unknown): string =>
  Buffer.from(JSON.stringify(auth)).toString('base64').replaceAll('+', '-').replaceAll('/', '_');

function fromFile(config: ConfigFile, key: string): RegistryAuth | undefined {
  const known =
    Object.keys(config.auths ?? {}).find((name) => name === key) ??
    Object.keys(config.auths ?? {}).find((name) => hostOf(name) === key);
  const entry = known === undefined ? undefined : config.auths?.[known];
  if (entry === undefined) return undefined;
  const decoded = Buffer.from(entry.auth ?? '', 'base64')
    .toString('utf8')
    .replace(/\0+$/, '');
  const colon = decoded.indexOf(':');
  if (colon < 1 && !entry.identitytoken) return undefined;
  return {
    username: decoded.slice(0, Math.max(colon, 0)),
    serveraddress: key,
    ...(entry.identitytoken ? { identitytoken: entry.identitytoken } : { password: decoded.slice(colon + 1) }),
  };
}

async function fromHelper(helper: string, key: string): Promise<RegistryAuth | undefined> {
  const answer = await callHelper(helper, 'get', key);
  if (answer === undefined) return undefined;
  try {
    const { Username, Secret } = JSON.parse(answer) as { Username: string; Secret: string };
    return Username === '<token>'
      ? { identitytoken: Secret, serveraddress: key }
      : { username: Username, password: Secret, serveraddress: key };
  } catch (error) {
    throw new Failure(`docker-credential-${helper} get answered something that is not JSON: ${messageOf(error)}`, 1);
  }
}

/** Runs a credential helper (docker-credential-helpers protocol). Undefined: it does not know the registry. */
async function callHelper(
  helper: string,
  action: 'get' | 'store' | 'erase',
  input: string,
): Promise<string | undefined> {
  const program = `docker-credential-${helper}`;
  if (!/^[\w.-]+$/.test(helper)) throw new Failure(`"${helper}" cannot be the name of a credential helper`, 1);
  const child = spawn(program, [action], { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (data: Buffer) => {
    output += data.toString();
  });
  child.stdin.on('error', () => {}); // it may end without reading; its exit code tells
  child.stdin.end(input);
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', (error) =>
      reject(new Failure(`error getting credentials: ${program} cannot be run: ${messageOf(error)}`, 1)),
    );
    child.once('close', (exit) => resolve(exit ?? 1));
  });
  if (code === 0) return output;
  if (/credentials not found/.test(output)) return undefined;
  throw new Failure(
    `error ${action === 'get' ? 'getting' : action === 'store' ? 'storing' : 'erasing'} credentials: ${program}: ${output.trim() || `exit code ${code}`}`,
    1,
  );
}
