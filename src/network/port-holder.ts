import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';

export interface PortHolder {
  readonly pid: number;
  /** The name of its program. */
  readonly command: string;
}

/** The process with a socket bound to a port, by /proc/net (proc(5)); undefined where it is gone or hidden. */
export async function portHolder(protocol: 'tcp' | 'udp' | 'sctp', port: number): Promise<PortHolder | undefined> {
  const tables = await Promise.all(
    [protocol, `${protocol}6`].map((name) => readFile(`/proc/net/${name}`, 'utf8').catch(unreadable)),
  );
  const inodes = new Set(tables.flatMap((table) => socketsOn(table, port)).map((inode) => `socket:[${inode}]`));
  if (inodes.size === 0) return undefined;
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const descriptors = await readdir(`/proc/${entry}/fd`).catch(() => []);
    for (const fd of descriptors) {
      const target = await readlink(`/proc/${entry}/fd/${fd}`).catch(unreadable);
      if (!inodes.has(target)) continue;
      const program = await readlink(`/proc/${entry}/exe`).catch(unreadable);
      return { pid: Number(entry), command: basename(program).replace(/ \(deleted\)$/, '') };
    }
  }
  return undefined;
}

/** Inodes of a table of /proc/net whose local port is `port`, listening sockets (state 0A) before others. */
export function socketsOn(table: string, port: number): readonly string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const found = table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local]) => local?.endsWith(suffix))
    .map(([, , , state = '', , , , , , inode = '0']) => ({ state, inode }))
    .filter(({ inode }) => inode !== '0'); // nobody's: TIME_WAIT
  const listening = found.filter(({ state }) => state === '0A');
  return (listening.length > 0 ? listening : found).map(({ inode }) => inode);
}

/** Processes end while we look, hide, or hold what cannot be named; who has the port is then just not known. */
const unreadable = () => '' as const;
