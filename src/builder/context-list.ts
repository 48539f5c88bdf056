import { GantryError } from '#errors/index.ts';

/**
 * One entry of a directory that a client is about to send. `stamp` is the client's word for a file's state (inode, size,
 * times, …): the same stamp under the same path is the same content, in the contexts of that client alone.
 */
export interface ListedEntry {
  readonly path: string;
  readonly type: 'directory' | 'file' | 'symlink';
  readonly mode: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  readonly size: number;
  readonly stamp: string;
  /** Where a link leads. */
  readonly target: string;
}

const types = { d: 'directory', f: 'file', l: 'symlink' } as const;
const mostEntries = 1_000_000;
const mostBytes = 256 * 1024 * 1024;

/**
 * Reads a list: one JSON array a line, `[path, "d" | "f" | "l", mode, mtime, size, stamp, target]`, directories before what
 * they hold. Names that could lead anywhere else are refused here, and nothing is opened by them but below the context.
 * @throws GantryError invalid, exhausted
 */
export async function readContextList(lines: AsyncIterable<Uint8Array>): Promise<readonly ListedEntry[]> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of lines) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw new GantryError('exhausted', `the list of a context has more than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  const seen = new Map<string, ListedEntry['type']>();
  const entries: ListedEntry[] = [];
  for (const line of Buffer.concat(chunks).toString('utf8').split('\n')) {
    if (line === '') continue;
    const entry = entryOf(line);
    const above = entry.path.slice(0, Math.max(0, entry.path.lastIndexOf('/')));
    if (above !== '' && seen.get(above) !== 'directory') throw bad(`${entry.path} stands in no directory of it`);
    if (seen.has(entry.path)) throw bad(`${entry.path} is in it twice`);
    seen.set(entry.path, entry.type);
    entries.push(entry);
    if (entries.length > mostEntries)
      throw new GantryError('exhausted', `the list of a context has more than ${mostEntries} entries`);
  }
  return entries;
}

const bad = (why: string) => new GantryError('invalid', `the list of the build context is not valid: ${why}`);

function entryOf(line: string): ListedEntry {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    throw bad('a line is not JSON');
  }
  if (!Array.isArray(parsed)) throw bad('a line is no array');
  const [path, letter, mode, mtime, size, stamp, target] = parsed as readonly unknown[];
  const type = letter === 'd' || letter === 'f' || letter === 'l' ? types[letter] : undefined;
  if (type === undefined) throw bad(`"${String(letter)}" is no type`);
  if (typeof path !== 'string' || !isPlainPath(path)) throw bad(`${JSON.stringify(path)} is no path below it`);
  if (typeof stamp !== 'string' || stamp.length > 200) throw bad(`${path} has no stamp`);
  if (typeof target !== 'string' || target.includes('\0') || (type === 'symlink') !== (target !== ''))
    throw bad(`${path} has no target, or one that it cannot have`);
  const whole = (value: unknown, most: number) => Number.isSafeInteger(value) && Math.abs(value as number) <= most;
  if (!whole(mode, 0o7777) || (mode as number) < 0) throw bad(`${path} has the mode ${String(mode)}`);
  if (!whole(mtime, 2 ** 40)) throw bad(`${path} has the time ${String(mtime)}`);
  if (!whole(size, Number.MAX_SAFE_INTEGER) || (size as number) < 0) throw bad(`${path} has the size ${String(size)}`);
  return { path, type, mode: mode as number, mtime: mtime as number, size: size as number, stamp, target };
}

const isPlainPath = (path: string): boolean =>
  path.length <= 4096 &&
  !path.includes('\0') &&
  path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
