import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';

/** The name servers of the host, read again whenever its resolv.conf changes. */
export function createHostResolvers(path = '/etc/resolv.conf'): () => readonly string[] {
  let seen = '';
  let servers: readonly string[] = [];
  return () => {
    const { mtimeMs, ino, size } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: 0, ino: 0, size: 0 };
    const now = `${mtimeMs} ${ino} ${size}`;
    if (now === seen) return servers;
    seen = now;
    servers = ino === 0 ? [] : serversOf(readFileSync(path, 'utf8'));
    return servers;
  };
}

/** The `nameserver` lines of a resolv.conf (resolv.conf(5)). */
export const serversOf = (text: string): readonly string[] =>
  [...text.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)]
    .map(([, server = '']) => server)
    .filter((server) => isIP(server.replace(/%.*$/, '')) !== 0);
