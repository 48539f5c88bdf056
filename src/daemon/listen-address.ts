import { GantryError } from '#errors/index.ts';

/** Where the engine listens. */
export type ListenAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  /** Sockets that systemd opened (sd_listen_fds(3)). */
  | { readonly kind: 'systemd' };

/**
 * Reads `unix:///path`, `tcp://[host][:port]` (this host only where none is named; port 2376 with TLS, 2375 without) or `fd://`.
 * @throws GantryError invalid, unsupported
 */
export function parseListenAddress(text: string, tls: boolean): ListenAddress {
  const [, scheme = 'tcp', rest = ''] = /^(?:([a-z]+):\/\/)?(.*)$/.exec(text) ?? [];
  if (scheme === 'unix') {
    if (!rest.startsWith('/'))
      throw new GantryError('invalid', `--host "${text}" names no socket; expected unix:///path`);
    return { kind: 'unix', path: rest };
  }
  if (scheme === 'fd') {
    if (rest !== '' && rest !== '*')
      throw new GantryError('unsupported', `--host "${text}": single descriptors are not supported; use fd://`);
    return { kind: 'systemd' };
  }
  const match = /^(\[[0-9a-fA-F:]+\]|[^/:[\]]*)(?::(\d{1,5}))?\/?$/.exec(rest);
  const port = Number(match?.[2] ?? (tls ? 2376 : 2375));
  if (scheme !== 'tcp' || match === null || port > 65535)
    throw new GantryError('invalid', `--host "${text}": expected unix:///path, tcp://host:port or fd://`);
  return { kind: 'tcp', host: (match[1] ?? '').replace(/^\[|\]$/g, '') || '127.0.0.1', port };
}

export const isLocal = (host: string): boolean => /^127\./.test(host) || host === '::1' || host === 'localhost';
