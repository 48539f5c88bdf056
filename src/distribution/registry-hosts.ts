import { readdirSync, readFileSync } from 'node:fs';
import type { AgentOptions } from 'node:https';
import { GantryError, messageOf } from '#errors/index.ts';

/** What is known of a registry beforehand: a section of `registries` in daemon.json. */
export interface RegistrySettings {
  /** `scheme://host[:port]`, asked in this order before the registry itself. */
  readonly mirrors?: readonly string[];
  /** Plain HTTP and certificates that do not verify are taken. */
  readonly insecure?: boolean;
  /** PEM files. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface RegistryHostsOptions {
  readonly registries?: Readonly<Record<string, RegistrySettings>> | undefined;
  /** Folders with one for each `host[:port]`: `*.crt` are authorities, `NAME.cert` with `NAME.key` a client's. */
  readonly certificateDirectories?: readonly string[] | undefined;
  /** Mirrors of Docker Hub. */
  readonly mirrors?: readonly string[] | undefined;
  /** Hosts (`name:port`) that may use plain HTTP or an unverified certificate; loopback ones always may use HTTP. */
  readonly insecure?: ((host: string) => boolean) | undefined;
  /** More certificate authorities, PEM. */
  readonly ca?: string | Buffer | readonly (string | Buffer)[] | undefined;
}

export type HostTls = Pick<AgentOptions, 'ca' | 'cert' | 'key' | 'rejectUnauthorized'>;

export interface RegistryHosts {
  /** Base URLs to ask first. */
  mirrorsOf(registry: string): readonly string[];
  isInsecure(host: string): boolean;
  /** Whether a host (`name:port`) may be spoken to in the clear. */
  mayBeClear(host: string): boolean;
  /** @throws GantryError invalid, naming the file that is missing or unreadable */
  tlsOf(host: string): HostTls;
}

export const isLoopback = (host: string): boolean => /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/.test(host);

/** Answers what is set for each registry host. @throws GantryError invalid for a mirror that is no base URL */
export function createRegistryHosts(options: RegistryHostsOptions): RegistryHosts {
  const { registries = {}, certificateDirectories = [], mirrors = [] } = options;
  const settingsOf = (host: string): RegistrySettings | undefined =>
    Object.hasOwn(registries, host) ? registries[host] : undefined;
  for (const mirror of [...mirrors, ...Object.values(registries).flatMap((settings) => settings.mirrors ?? [])]) {
    const url = URL.canParse(mirror) ? new URL(mirror) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.search !== '')
      throw new GantryError(
        'invalid',
        `the registry mirror "${mirror}" is not http://HOST[:PORT] or https://HOST[:PORT]`,
      );
  }
  const isInsecure = (host: string) => options.insecure?.(host) === true || settingsOf(host)?.insecure === true;
  return {
    mirrorsOf: (registry) => settingsOf(registry)?.mirrors ?? (registry === 'docker.io' ? mirrors : []),
    isInsecure,
    mayBeClear: (host) => isLoopback(host) || isInsecure(host),
    tlsOf(host) {
      const { ca, cert, key } = settingsOf(host) ?? {};
      const found = certificateDirectories.map((directory) => certificatesIn(`${directory}/${host}`));
      const given = options.ca === undefined ? [] : [options.ca].flat();
      const authorities = [
        ...given,
        ...(ca === undefined ? [] : [readPem(ca)]),
        ...found.flatMap((certificates) => certificates.authorities),
      ];
      const pair =
        cert !== undefined && key !== undefined
          ? { cert: readPem(cert), key: readPem(key) }
          : found.find((certificates) => certificates.pair !== undefined)?.pair;
      return {
        ...(authorities.length === 0 ? {} : { ca: authorities }),
        ...pair,
        ...(isInsecure(host) ? { rejectUnauthorized: false } : {}),
      };
    },
  };
}

/** Docker's layout of `/etc/docker/certs.d/HOST:PORT`. */
function certificatesIn(directory: string) {
  let names: readonly string[] = [];
  try {
    names = readdirSync(directory).toSorted();
  } catch (error) {
    if (!/^(?:ENOENT|ENOTDIR)$/.test((error as NodeJS.ErrnoException).code ?? ''))
      throw new GantryError('invalid', `the certificates in ${directory} cannot be read: ${messageOf(error)}`);
  }
  const client = names.find((name) => name.endsWith('.cert'));
  const keyFile = client?.replace(/cert$/, 'key');
  if (keyFile !== undefined && !names.includes(keyFile))
    throw new GantryError('invalid', `${directory}/${client} has no ${keyFile} beside it`);
  return {
    authorities: names.filter((name) => name.endsWith('.crt')).map((name) => readPem(`${directory}/${name}`)),
    pair:
      client === undefined || keyFile === undefined
        ? undefined
        : { cert: readPem(`${directory}/${client}`), key: readPem(`${directory}/${keyFile}`) },
  };
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new GantryError('invalid', `the certificate file ${path} cannot be read: ${messageOf(error)}`);
  }
}
