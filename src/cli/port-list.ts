import type { Port } from '#client/index.ts';

/**
 * A container's ports as `ps` shows them: `0.0.0.0:8080->80/tcp`, neighbours joined to ranges (`80-82/tcp`), published ones
 * after exposed ones of the same protocol.
 */
export function portList(ports: readonly Port[]): string {
  const sorted = ports.toSorted(
    (a, b) =>
      a.PrivatePort - b.PrivatePort ||
      compare(a.IP ?? '', b.IP ?? '') ||
      (a.PublicPort ?? 0) - (b.PublicPort ?? 0) ||
      compare(a.Type, b.Type),
  );
  const groups = new Map<string, { first: number; last: number; publicFirst: number | undefined; key: string }>();
  const single: string[] = [];
  const done: string[] = [];
  for (const port of sorted) {
    const key = port.PublicPort === undefined ? port.Type : `${port.IP ?? ''}/${port.Type}`;
    if (port.PublicPort !== undefined && port.PublicPort !== port.PrivatePort) {
      single.push(`${address(port.IP)}${port.PublicPort}->${port.PrivatePort}/${port.Type}`);
      continue;
    }
    const open = groups.get(key);
    if (open !== undefined && open.last === port.PrivatePort - 1) {
      open.last = port.PrivatePort;
      continue;
    }
    if (open !== undefined) done.push(shown(open));
    groups.set(key, { first: port.PrivatePort, last: port.PrivatePort, publicFirst: port.PublicPort, key });
  }
  return [...done, ...[...groups.keys()].toSorted().flatMap((key) => shown(groups.get(key)) || []), ...single].join(
    ', ',
  );
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

const address = (ip: string | undefined) =>
  ip === undefined || ip === '' ? '' : `${ip.includes(':') ? `[${ip}]` : ip}:`;

function shown(
  group: { first: number; last: number; publicFirst: number | undefined; key: string } | undefined,
): string {
  if (group === undefined) return '';
  const range = group.first === group.last ? `${group.first}` : `${group.first}-${group.last}`;
  const slash = group.key.lastIndexOf('/');
  const type = group.key.slice(slash + 1);
  return group.publicFirst === undefined
    ? `${range}/${type}`
    : `${address(group.key.slice(0, slash))}${range}->${range}/${type}`;
}
