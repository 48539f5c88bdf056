import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { GantryError, throwIfAborted } from '#errors/index.ts';
import {
  closeFd,
  type FileName,
  type FileStatus,
  getXattrAt,
  listXattrsAt,
  openAt,
  READ_FILE,
  readInto,
  readLinkAt,
  statusAt,
} from '#linux/index.ts';
import { encodeTarHeader, endOfArchive, type NewTarHeader, tarPadding } from '#tar/index.ts';
import { fromFileName } from './file-name.ts';
import { walkPaths } from './walk-paths.ts';
import { isLayerXattr } from './whiteouts.ts';

export interface PackOptions {
  /** Comes before every name, e.g. `data/`. */
  readonly prefix?: string;
  /** An entry for the directory itself comes first, named `./` (or as `prefix`). */
  readonly root?: boolean;
  readonly signal?: AbortSignal;
}

/** What a tree's entries become: kept, left out (with all below), or named anew with no content (a whiteout). */
export interface PackPolicy {
  decide?(path: string, status: FileStatus): 'keep' | 'skip' | { readonly whiteout: string };
  /** Names of more whiteouts, in a directory that was kept. */
  whiteoutsIn?(path: string, directoryFd: number, name: FileName): readonly string[];
}

/** About what one chunk has. */
const CHUNK = 256 << 10;
const MAX_PATH = 4095;

/**
 * A tree as a tar: names in the order of their bytes, times to the nanosecond, hard links within the tree, xattrs of
 * `user.*`, capabilities and ACLs. Equal trees give equal bytes. Sockets are left out; a tar has none.
 * `rootFd` must stay open until the stream has ended.
 * The stream fails with GantryError conflict (a file that shrinks meanwhile), invalid (a path longer than PATH_MAX),
 * cancelled.
 */
export const packTree = (rootFd: number, options: PackOptions = {}): Readable => packTreeWith(rootFd, {}, options);

/** Several trees as one tar, one after the other, each below its prefix. */
export const packTrees = (
  trees: readonly (Omit<PackOptions, 'signal'> & { readonly rootFd: number })[],
  { signal }: Pick<PackOptions, 'signal'> = {},
): Readable =>
  streamOf(
    (function* () {
      for (const { rootFd, ...options } of trees) yield* packing(rootFd, {}, options);
    })(),
    signal,
  );

/** The same, with a policy, and something to do when the stream is done, however it ends. */
export function packTreeWith(
  rootFd: number,
  policy: PackPolicy,
  { signal, ...options }: PackOptions = {},
  done: () => void = () => undefined,
): Readable {
  const stream = streamOf(packing(rootFd, policy, options), signal);
  stream.once('close', done);
  return stream;
}

/** Parts of an archive in larger chunks, with its end. */
function streamOf(parts: Iterable<Uint8Array>, signal: AbortSignal | undefined): Readable {
  async function* chunks(): AsyncGenerator<Buffer, void> {
    let batch: Uint8Array[] = [];
    let size = 0;
    for (const part of parts) {
      batch.push(part);
      size += part.length;
      if (size < CHUNK) continue;
      throwIfAborted(signal);
      yield Buffer.concat(batch);
      batch = [];
      size = 0;
      await setImmediate();
    }
    yield Buffer.concat([...batch, endOfArchive]);
  }
  return Readable.from(chunks(), { objectMode: false, highWaterMark: CHUNK });
}

function* packing(rootFd: number, policy: PackPolicy, options: PackOptions): Generator<Uint8Array, void> {
  const { prefix = '', root = false } = options;
  /** First names of inodes that have more than one. */
  const linked = new Map<string, string>();
  const whiteout = (name: string) => encodeTarHeader({ name: prefix + name, type: 'file', mode: 0 });
  const directory = (path: string) => (path === '' ? '' : `${path}/`);

  function* enter(path: string, fd: number, name: FileName): Generator<Uint8Array, void> {
    for (const hidden of policy.whiteoutsIn?.(path, fd, name) ?? []) yield whiteout(directory(path) + hidden);
  }

  if (root) yield encodeTarHeader(headerOf(rootFd, '.', prefix === '' ? './' : prefix, statusAt(rootFd, '.')));
  yield* enter('', rootFd, '.');
  const walk = walkPaths(rootFd);
  let into = true;
  for (let next = walk.next(); !next.done; next = walk.next(into)) {
    const { kind, directoryFd, name, path } = next.value;
    if (kind === 'leave') continue;
    const status = statusAt(directoryFd, name);
    const decision = policy.decide?.(path, status) ?? 'keep';
    into = decision === 'keep';
    if (typeof decision === 'object') yield whiteout(decision.whiteout);
    if (!into || status.type === 'socket' || status.type === 'unknown') continue;
    if (path.length > MAX_PATH)
      throw new GantryError(
        'invalid',
        `"${path.slice(0, 80)}…" is longer than ${MAX_PATH} bytes and cannot be archived`,
      );
    if (status.type === 'directory') {
      yield encodeTarHeader(headerOf(directoryFd, name, `${prefix}${path}/`, status));
      yield* enter(path, directoryFd, name);
      continue;
    }
    const first = linked.get(status.identity);
    if (first !== undefined) {
      const { mode, uid, gid, mtime } = status;
      yield encodeTarHeader({ name: prefix + path, type: 'hardlink', linkName: first, mode, uid, gid, mtime });
      continue;
    }
    if (status.links > 1) linked.set(status.identity, prefix + path);
    yield encodeTarHeader(headerOf(directoryFd, name, prefix + path, status));
    if (status.type === 'file') yield* contentOf(directoryFd, name, path, status.size);
  }
}

function headerOf(directoryFd: number, name: FileName, as: string, status: FileStatus): NewTarHeader {
  const { type, mode, uid, gid, size, mtime, rdevMajor, rdevMinor } = status;
  if (type === 'socket' || type === 'unknown') throw new GantryError('internal', `a tar has no ${type}`);
  const device = type === 'character-device' || type === 'block-device';
  const xattrs = new Map<string, Uint8Array>();
  for (const key of listXattrsAt(directoryFd, name).filter(isLayerXattr)) {
    const value = getXattrAt(directoryFd, name, key);
    if (value !== undefined) xattrs.set(key, value);
  }
  return {
    name: as,
    type,
    mode,
    uid,
    gid,
    mtime,
    xattrs,
    ...(type === 'file' ? { size } : {}),
    ...(type === 'symlink' ? { linkName: fromFileName(readLinkAt(directoryFd, name)) } : {}),
    ...(device ? { major: rdevMajor, minor: rdevMinor } : {}),
  };
}

function* contentOf(directoryFd: number, name: FileName, path: string, size: number): Generator<Uint8Array, void> {
  if (size === 0) return;
  const fd = openAt(directoryFd, name, READ_FILE);
  try {
    for (let rest = size; rest > 0; ) {
      const buffer = Buffer.allocUnsafe(Math.min(rest, CHUNK));
      const length = readInto(fd, buffer);
      if (length === 0) throw new GantryError('conflict', `"${path}" became shorter while it was read; try again`);
      yield buffer.subarray(0, length);
      rest -= length;
    }
  } finally {
    closeFd(fd);
  }
  yield tarPadding(size);
}
