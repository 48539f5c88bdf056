import { GantryError } from '#errors/index.ts';

/** Where an engine listens. `tls` holds PEM texts; none of them is required. */
export type EngineAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly tls?: EngineTls };

export interface EngineTls {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Refuse a server whose certificate is not signed by `ca` or does not name the host. */
  readonly verify: boolean;
}

/**
 * Reads `unix:///path`, `tcp://host:port` or `host:port` (port 2375, with TLS 2376, where none is given).
 * @throws GantryError invalid, or unsupported for other transports (`ssh://`, `fd://`, `npipe://`)
 */
export function parseEngineHost(text: string, tls?: EngineTls): EngineAddress {
  const [, scheme = 'tcp', rest = ''] = /^(?:([a-z]+):\/\/)?(.*)$/.exec(text) ?? [];
  if (scheme === 'unix') {
    if (rest === '') throw new GantryError('invalid', `the host "${text}" names no socket; expected unix:///path`);
    return { kind: 'unix', path: rest };
  }
  if (scheme === 'ssh' || scheme === 'fd' || scheme === 'npipe')
    throw new GantryError('unsupported', `the host "${text}": ${scheme}:// is not supported; use unix:// or tcp://`);
  const address = /^(\[[0-9a-fA-F:]+\]|[^/:[\]]*)(?::(\d{1,5}))?\/?$/.exec(rest);
  if ((scheme !== 'tcp' && scheme !== 'http') || address === null || rest === '')
    throw new GantryError('invalid', `invalid host "${text}"; expected unix:///path or tcp://host:port`);
  const port = Number(address[2] ?? (tls === undefined ? 2375 : 2376));
  if (port < 1 || port > 65535) throw new GantryError('invalid', `invalid port ${port} in the host "${text}"`);
  const host = (address[1] ?? '').replace(/^\[|\]$/g, '') || '127.0.0.1';
  return { kind: 'tcp', host, port, ...(tls === undefined ? {} : { tls }) };
}
