import { readFile } from 'node:fs/promises';
import { GantryError } from '#errors/index.ts';
import type { Container, UserRange } from './engine.ts';

/** Whose ranges are the containers': ours, else the one that podman has for the same purpose. */
const owners = ['gantry', 'containers'];
const defaultSize = 65_536;

interface Range {
  readonly first: number;
  readonly count: number;
}

/** The ranges of a user in subuid(5): `name:first:count` lines. */
export function rangesOf(text: string, user: string): readonly Range[] {
  return text.split('\n').flatMap((line) => {
    const [name, first = '', count = ''] = line.trim().split(':');
    return name === user && /^\d+$/.test(first) && /^\d+$/.test(count)
      ? [{ first: Number(first), count: Number(count) }]
      : [];
  });
}

/** The first place in the ranges for `size` ids that nobody has; undefined where there is none. */
export function freePlace(ranges: readonly Range[], taken: readonly Range[], size: number): number | undefined {
  for (const { first, count } of ranges) {
    let at = first;
    for (;;) {
      const inTheWay = taken.find((t) => t.first < at + size && at < t.first + t.count);
      if (inTheWay === undefined) break;
      at = inTheWay.first + inTheWay.count;
    }
    if (at + size <= first + count) return at;
  }
  return undefined;
}

/** `auto` or `auto:size=N`. @throws GantryError invalid */
function sizeOf(mode: string): number {
  const match = /^auto(?::size=(\d+))?$/.exec(mode);
  const size = Number(match?.[1] ?? defaultSize);
  if (match === null || size < 1 || size > 2 ** 31)
    throw new GantryError('invalid', `invalid userns mode: ${mode}; expected host, auto or auto:size=N`);
  return size;
}

const read = (path: string): Promise<string> =>
  readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });

/**
 * Ids for a container's user namespace (`--userns auto`), which no other container has: from the ranges of `gantry`, else
 * `containers`, in /etc/subuid and /etc/subgid. Undefined where it has the host's.
 * @throws GantryError invalid, unavailable (no ranges), exhausted, each with what to write there
 */
export async function allocateUserRange(
  mode: string | undefined,
  containers: readonly Pick<Container, 'userRange'>[],
): Promise<UserRange | undefined> {
  if (mode === undefined || mode === 'host') return undefined;
  const size = sizeOf(mode);
  const [users, groups] = await Promise.all([read('/etc/subuid'), read('/etc/subgid')]);
  const owner = owners.find((name) => rangesOf(users, name).length > 0 && rangesOf(groups, name).length > 0);
  if (owner === undefined)
    throw new GantryError(
      'unavailable',
      `--userns ${mode}: neither ${owners.join(' nor ')} has a range in /etc/subuid and /etc/subgid; add e.g. "gantry:2147483648:1048576" to both`,
    );
  const ranges = containers.flatMap(({ userRange }) => userRange ?? []);
  const uid = freePlace(
    rangesOf(users, owner),
    ranges.map((r) => ({ first: r.uid, count: r.size })),
    size,
  );
  const gid = freePlace(
    rangesOf(groups, owner),
    ranges.map((r) => ({ first: r.gid, count: r.size })),
    size,
  );
  if (uid === undefined || gid === undefined)
    throw new GantryError(
      'exhausted',
      `--userns ${mode}: no ${size} ids of ${owner} in /etc/subuid and /etc/subgid are free; remove containers or widen the range`,
    );
  return { uid, gid, size };
}
