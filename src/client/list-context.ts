import {
  type BigIntStats,
  closeSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import { GantryError, messageOf } from '#errors/index.ts';
import type { ContextIgnore } from './context-ignore.ts';

/** A directory as a list: what the engine compares with what it was sent before. */
export interface ContextListing {
  /** The directory itself, without links. */
  readonly root: string;
  /** One JSON array a line; the builder's `readContextList` says what is in it. */
  readonly lines: string;
  /** The contents of some of its entries, by where they stand in it, one after the other. */
  contents(need: readonly number[]): AsyncGenerator<Uint8Array, void, void>;
}

/** Below this a tar is sent at once: asking first would take longer. */
const fewFiles = 100;
const fewBytes = 1024 * 1024;
/** A file that changed so short a time ago may change again within the same tick of the clock. */
const freshMs = 2000;
const chunkSize = 256 * 1024;

interface Listed {
  readonly path: string;
  readonly size: number;
}

/**
 * Lists what of a directory is sent; undefined where it is small, or has names that are no UTF-8. A file is told by a stamp
 * of its inode, size and times, so that nothing is read whose content the engine has.
 * @throws GantryError forbidden for a directory that cannot be read
 */
export function listContext(
  root: string,
  ignore: ContextIgnore,
  onSkipped: (path: string, what: string) => void,
): ContextListing | undefined {
  const listed: Listed[] = [];
  const lines: string[] = [];
  const skipped: [string, string][] = [];
  const now = Date.now();
  let bytes = 0;
  let plain = true;

  const tell = (path: string, type: string, stat: BigIntStats, stamp: string, target: string) => {
    const size = type === 'f' ? Number(stat.size) : 0;
    bytes += size;
    listed.push({ path, size });
    lines.push(
      JSON.stringify([
        path,
        type,
        Number(stat.mode) & 0o7777,
        Math.floor(Number(stat.mtimeMs) / 1000),
        size,
        stamp,
        target,
      ]),
    );
  };
  // An ignored directory is told of only once something below it turns out to be wanted.
  const visit = (prefix: string, owed: readonly (() => void)[]): boolean => {
    let sent = false;
    const settle = () => {
      if (!sent) for (const directory of owed) directory();
      sent = true;
    };
    for (const name of namesIn(`${root}/${prefix}`)) {
      if (name.includes('\ufffd')) plain = false;
      const path = prefix + name;
      const ignored = ignore.ignores(path);
      if (ignored && !ignore.hasExceptions) continue;
      const stat = lstatSync(`${root}/${path}`, { bigint: true });
      if (ignored && !stat.isDirectory()) continue;
      if (stat.isDirectory()) {
        const own = () => tell(path, 'd', stat, '', '');
        if (!ignored) {
          settle();
          own();
        }
        if (visit(`${path}/`, ignored ? [...(sent ? [] : owed), own] : [])) sent = true;
      } else if (stat.isSymbolicLink()) {
        settle();
        tell(path, 'l', stat, '', readlinkSync(`${root}/${path}`));
      } else if (stat.isFile()) {
        settle();
        tell(path, 'f', stat, stampOf(stat, now), '');
      } else skipped.push([path, stat.isSocket() ? 'a socket' : stat.isFIFO() ? 'a named pipe' : 'a device']);
    }
    return sent;
  };
  visit('', []);
  if (!plain || (listed.length < fewFiles && bytes < fewBytes)) return undefined;
  for (const [path, what] of skipped) onSkipped(path, what);
  return {
    root,
    lines: lines.join('\n'),
    async *contents(need) {
      for (const at of need) {
        const entry = listed[at];
        if (entry === undefined) throw new GantryError('corrupt', `the engine asked for entry ${at} of the context`);
        yield* contentOf(root, entry);
      }
    },
  };
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    throw new GantryError('forbidden', `cannot read "${directory}": ${messageOf(error)}`);
  }
}

const stampOf = ({ dev, ino, size, mtimeNs, ctimeNs, ctimeMs }: BigIntStats, now: number): string =>
  now - Number(ctimeMs) < freshMs ? `${now}.${Math.random()}` : [dev, ino, size, mtimeNs, ctimeNs].join('.');

/** Just as many bytes as the list said. */
function* contentOf(root: string, { path, size }: Listed): Generator<Uint8Array, void, void> {
  let fd: number;
  try {
    fd = openSync(`${root}/${path}`, 'r');
  } catch (error) {
    throw new GantryError('forbidden', `cannot read "${path}": ${messageOf(error)}`);
  }
  try {
    if (!fstatSync(fd).isFile()) throw changed(path);
    for (let left = size; left > 0; ) {
      const buffer = Buffer.allocUnsafe(Math.min(left, chunkSize));
      const length = readSync(fd, buffer);
      if (length === 0) throw changed(path);
      left -= length;
      yield buffer.subarray(0, length);
    }
  } finally {
    closeSync(fd);
  }
}

const changed = (path: string) =>
  new GantryError('conflict', `"${path}" changed while it was sent; try again when it is at rest`);
