import { isIPv6 } from 'node:net';
import { parseArgs } from 'node:util';
import { GantryError, messageOf } from '#errors/index.ts';
import { readStorageOptions, type StorageOptions, storageFlags, storageHelp } from './storage-options.ts';

export interface HubOptions {
  readonly host: string;
  readonly port: number;
  readonly storage: StorageOptions;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly signUp: 'open' | 'invite' | 'closed';
  /** Whether an index may be pushed before the manifests that it names. */
  readonly sparseIndexes: boolean;
  /** Host names by which the hub is a mirror alone, and the namespace that each stands for. */
  readonly mirrorHosts: ReadonlyMap<string, string>;
  /** Addresses of proxies whose X-Forwarded-For and -Proto are believed. */
  readonly trustProxy: string | undefined;
  readonly logFormat: 'text' | 'json';
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug';
}

const help = `Usage:  gantry hub serve [OPTIONS]

Serve a registry with accounts and web pages

Options:
      --listen host:port    Where to listen (default "127.0.0.1:5000"); port 0 takes a free one
${storageHelp}      --tls-cert file       Certificate chain, PEM; serves HTTPS, together with --tls-key. Both are
                            read anew on SIGHUP
      --tls-key file        Its private key, PEM
      --sign-up string      Who makes an account on the page: open, anyone; invite, who has an invitation;
                            closed, nobody, only 'gantry hub user add' does (default "open")
      --sparse-indexes      Take an index before the manifests that it names
      --mirror-host HOST=NAME
                            Called by this name the hub is the mirror NAME (see 'gantry hub mirror'), with its images
                            at the root, as Docker's registry-mirrors want it; may be given several times
      --trust-proxy list    Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed
      --log-format string   text or json, one object a line (default "text")
      --log-level string    error, warn, info or debug (default "info")
`;

/** Parses the flags of `gantry hub serve`. @throws GantryError invalid; returns the help text for --help */
export function parseHubOptions(argv: readonly string[]): HubOptions | { help: string } {
  const values = parseFlags(argv, 'gantry hub serve');
  if (values.help) return { help };
  const cert = values['tls-cert'];
  const key = values['tls-key'];
  if ((cert === undefined) !== (key === undefined))
    throw new GantryError('invalid', '--tls-cert and --tls-key go together; give both');
  return {
    ...parseListen(values.listen),
    storage: readStorageOptions(values),
    tls: cert === undefined || key === undefined ? undefined : { cert, key },
    signUp: oneOf('--sign-up', values['sign-up'], ['open', 'invite', 'closed']),
    sparseIndexes: values['sparse-indexes'] ?? false,
    mirrorHosts: new Map((values['mirror-host'] ?? []).map(parseMirrorHost)),
    trustProxy: values['trust-proxy'],
    logFormat: oneOf('--log-format', values['log-format'], ['text', 'json']),
    logLevel: oneOf('--log-level', values['log-level'], ['error', 'warn', 'info', 'debug']),
  };
}

function parseFlags(argv: readonly string[], command: string) {
  const string = { type: 'string' } as const;
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: false,
      options: {
        help: { type: 'boolean', short: 'h' },
        listen: { ...string, default: '127.0.0.1:5000' },
        ...storageFlags,
        'tls-cert': string,
        'tls-key': string,
        'sign-up': { ...string, default: 'open' },
        'sparse-indexes': { type: 'boolean' },
        'mirror-host': { ...string, multiple: true },
        'trust-proxy': string,
        'log-format': { ...string, default: 'text' },
        'log-level': { ...string, default: 'info' },
      },
    }).values;
  } catch (error) {
    throw new GantryError('invalid', `${messageOf(error)}; see '${command} --help'`);
  }
}

/** `127.0.0.1:5000`, `[::1]:5000`, `:5000` (every address). @throws GantryError invalid */
export function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535 || (match[1] !== undefined && !isIPv6(match[1])))
    throw new GantryError('invalid', `--listen "${text}" is not host:port, such as 127.0.0.1:5000 or [::1]:5000`);
  return { host: match[1] ?? (match[2] === '' ? '::' : (match[2] ?? '')), port };
}

/** `mirror.example=dockerhub`. @throws GantryError invalid */
export function parseMirrorHost(text: string): [string, string] {
  const match = /^([a-z0-9.-]+|\[[0-9a-f:.]+\])=([a-z0-9_-]+)$/.exec(text.toLowerCase());
  const [, host, name] = match ?? [];
  if (host === undefined || name === undefined)
    throw new GantryError('invalid', `--mirror-host "${text}" is not HOST=NAME, such as mirror.example=dockerhub`);
  return [host, name];
}

function oneOf<Value extends string>(flag: string, value: string, allowed: readonly Value[]): Value {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw new GantryError('invalid', `${flag} "${value}": expected ${allowed.join(' or ')}`);
  return found;
}
