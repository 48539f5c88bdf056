import { constants } from 'node:fs';
import { posix } from 'node:path';
import type { Readable } from 'node:stream';
import { GantryError, throwIfAborted } from '#errors/index.ts';
import {
  chmodAt,
  chmodFd,
  closeFd,
  makeDirectoryAt,
  openAt,
  openBeneath,
  removeDirectoryAt,
  setTimesAt,
  setTimesFd,
  statusOf,
  symlinkAt,
  unlinkAt,
  writeAll,
} from '#linux/index.ts';
import type { ListedEntry } from './context-list.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_WRONLY } = constants;

/** An entry as it lies in a kept context. */
export interface KeptEntry extends ListedEntry {
  /** Who the file is, once it is written. */
  readonly identity?: string;
  /** SHA-256 of its content, in hex, once somebody asked. */
  digest?: string;
}

/** Whether an entry that is there can stay as it is. Files are never changed in place: they may have names in layers. */
export const stays = (old: KeptEntry | undefined, wanted: ListedEntry): boolean =>
  old !== undefined &&
  old.type === wanted.type &&
  (wanted.type === 'directory' ||
    (wanted.type === 'symlink'
      ? old.target === wanted.target && old.mtime === wanted.mtime
      : old.stamp === wanted.stamp &&
        old.size === wanted.size &&
        old.mode === wanted.mode &&
        old.mtime === wanted.mtime));

/**
 * Makes a tree what a list says. `body` has the contents of the files that do not stay, in the order of the list, one
 * after the other. All names are resolved below `root`, no link is followed, and every file is a new one.
 * @throws GantryError invalid where the body is shorter or longer than the list says; cancelled
 */
export async function applyContextList(
  root: number,
  before: ReadonlyMap<string, KeptEntry>,
  wanted: readonly ListedEntry[],
  body: Readable,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, KeptEntry>> {
  const byPath = new Map(wanted.map((entry) => [entry.path, entry]));
  const touched = new Set<string>();
  for (const old of [...before.values()].toReversed()) {
    const next = byPath.get(old.path);
    if (next !== undefined && stays(old, next)) continue;
    inParent(root, old.path, (parent, name) =>
      old.type === 'directory' ? removeDirectoryAt(parent, name) : unlinkAt(parent, name),
    );
    touched.add(posix.dirname(old.path));
  }
  const input = exactly(body, signal);
  const after = new Map<string, KeptEntry>();
  for (const entry of wanted) {
    const old = before.get(entry.path);
    if (old !== undefined && stays(old, entry)) {
      after.set(entry.path, { ...old, ...entry });
      if (entry.type === 'directory' && (old.mode !== entry.mode || old.mtime !== entry.mtime)) touched.add(entry.path);
      continue;
    }
    touched.add(posix.dirname(entry.path));
    if (entry.type === 'directory') touched.add(entry.path);
    after.set(entry.path, await make(root, entry, input));
  }
  await input.end();
  // Last, for each change below a directory changes its time.
  for (const entry of wanted.toReversed()) if (touched.has(entry.path)) finishDirectory(root, entry);
  return after;
}

async function make(root: number, entry: ListedEntry, input: Input): Promise<KeptEntry> {
  const { type, path, mode, mtime, size, target } = entry;
  if (type === 'directory') inParent(root, path, (parent, name) => makeDirectoryAt(parent, name, 0o700));
  else if (type === 'symlink')
    inParent(root, path, (parent, name) => {
      symlinkAt(target, parent, name);
      setTimesAt(parent, name, { seconds: mtime, nanoseconds: 0 });
    });
  else {
    const fd = inParent(root, path, (parent, name) => openAt(parent, name, O_WRONLY | O_CREAT | O_EXCL, 0o600));
    try {
      for await (const chunk of input.take(size, path)) writeAll(fd, chunk);
      chmodFd(fd, mode);
      setTimesFd(fd, { seconds: mtime, nanoseconds: 0 });
      return { ...entry, identity: statusOf(fd).identity };
    } finally {
      closeFd(fd);
    }
  }
  return entry;
}

function finishDirectory(root: number, { type, path, mode, mtime }: ListedEntry): void {
  if (type !== 'directory') return;
  inParent(root, path, (parent, name) => chmodAt(parent, name, mode));
  const fd = openBeneath(root, path, O_RDONLY | O_DIRECTORY);
  try {
    setTimesFd(fd, { seconds: mtime, nanoseconds: 0 });
  } finally {
    closeFd(fd);
  }
}

function inParent<T>(root: number, path: string, work: (parent: number, name: string) => T): T {
  const above = posix.dirname(path);
  if (above === '.') return work(root, path);
  const parent = openBeneath(root, above, O_RDONLY | O_DIRECTORY);
  try {
    return work(parent, posix.basename(path));
  } finally {
    closeFd(parent);
  }
}

interface Input {
  take(size: number, path: string): AsyncIterable<Uint8Array>;
  end(): Promise<void>;
}

/** A body that must have just so many bytes. */
function exactly(body: Readable, signal: AbortSignal): Input {
  const chunks: AsyncIterator<Uint8Array> = body[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array();
  const next = async (): Promise<boolean> => {
    throwIfAborted(signal);
    const { value, done } = await chunks.next();
    if (done === true) return false;
    rest = value;
    return true;
  };
  return {
    async *take(size, path) {
      for (let left = size; left > 0; ) {
        if (rest.length === 0 && !(await next()))
          throw new GantryError('invalid', `the build context ended in ${path}, ${left} bytes before it should`);
        const part = rest.subarray(0, left);
        rest = rest.subarray(part.length);
        left -= part.length;
        yield part;
      }
    },
    async end() {
      if (rest.length > 0 || ((await next()) && rest.length > 0))
        throw new GantryError('invalid', 'more of the build context was sent than its list says');
    },
  };
}
