import { watch } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { LogRecord, LogsOptions } from '../engine.ts';

/** A place in a log that is rotated: which of its files, whatever that is called by now, and how many bytes of it. */
export interface LogPosition {
  /** Inode and time of birth: an inode's number is given out again. */
  readonly file: string;
  readonly offset: number;
}

export interface PlacedRecord extends LogRecord {
  /** Where the next one begins. */
  readonly next: LogPosition;
}

interface LogFile {
  readonly path: string;
  readonly identity: string;
}

async function identityOf(path: string | FileHandle): Promise<string | undefined> {
  try {
    const { ino, birthtimeNs } = await (typeof path === 'string'
      ? stat(path, { bigint: true })
      : path.stat({ bigint: true }));
    return `${ino}:${birthtimeNs}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined; // renamed or removed meanwhile
    throw error;
  }
}

/** The files of a log, oldest first: `x.log.2`, `x.log.1`, `x.log`. */
async function listOnce(path: string): Promise<readonly LogFile[]> {
  const prefix = `${basename(path)}.`;
  const names = await readdir(dirname(path)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []; // the container is gone
    throw error;
  });
  const rotated = names
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .toSorted((a, b) => b - a);
  const files: LogFile[] = [];
  for (const one of [...rotated.map((n) => `${path}.${n}`), path]) {
    const identity = await identityOf(one);
    if (identity !== undefined) files.push({ path: one, identity });
  }
  return files;
}

const same = (a: readonly LogFile[], b: readonly LogFile[]) =>
  a.length === b.length && a.every(({ identity }, index) => identity === b[index]?.identity);

/** The same, not of the middle of a rotation. */
async function listFiles(path: string): Promise<readonly LogFile[]> {
  for (let before = await listOnce(path); ; ) {
    const now = await listOnce(path);
    if (same(before, now)) return now;
    before = now;
  }
}

interface OpenFile extends LogFile {
  readonly handle: FileHandle;
}

/** Opens the file that follows `after`, or the oldest where that is gone or none is given; undefined where none follows. */
async function openNext(path: string, after: string | undefined): Promise<OpenFile | undefined> {
  // The usual case, and a cheap one: it is the newest.
  if (after !== undefined && (await identityOf(path)) === after) return undefined;
  for (;;) {
    const files = await listFiles(path);
    const at = files.findIndex(({ identity }) => identity === after);
    const next = files[at + 1];
    if (next === undefined) return undefined;
    const handle = await openFile(next.path);
    if (handle === undefined) continue;
    if ((await identityOf(handle)) === next.identity) return { ...next, handle };
    await handle.close(); // rotated meanwhile
  }
}

const openFile = (path: string): Promise<FileHandle | undefined> =>
  open(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });

function parseLine(line: string): LogRecord | undefined {
  try {
    const { log, stream, time, attrs } = JSON.parse(line) as {
      log: string;
      stream: 'stdout' | 'stderr';
      time: string;
      attrs?: Readonly<Record<string, string>>;
    };
    return { stream, time, text: Buffer.from(log), ...(attrs === undefined ? {} : { attributes: attrs }) };
  } catch {
    return undefined; // the torn last line of a shim that was killed
  }
}

const chunkBytes = 256 * 1024;

/** Whole lines of one file from an offset to its present end; returns where the last one ended. */
async function* linesOf({ handle, identity }: OpenFile, from: number): AsyncGenerator<PlacedRecord, number> {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  let rest: Buffer = Buffer.alloc(0);
  let offset = from;
  for (;;) {
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, offset + rest.length);
    if (bytesRead === 0) return offset;
    const data = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
    let start = 0;
    for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, start)) {
      const record = parseLine(data.toString('utf8', start, end));
      offset += end + 1 - start;
      start = end + 1;
      if (record !== undefined) yield { ...record, next: { file: identity, offset } };
    }
    rest = data.subarray(start);
  }
}

export interface FollowOptions {
  /** Where to begin; the oldest line where that is rotated away. */
  readonly from?: LogPosition;
  /** The oldest file, open already; closed in the end. Without `from`. */
  readonly oldest?: OpenFile | undefined;
  /** Go on at the end of what is there, until this resolves and the rest is read. */
  readonly until?: Promise<unknown>;
  readonly signal?: AbortSignal;
}

/** Every line in order, over all rotations; `caughtUp` whenever nothing more is there for now. */
export async function* followLog(
  path: string,
  { from, oldest, until, signal }: FollowOptions,
): AsyncGenerator<PlacedRecord | 'caughtUp'> {
  let over = until === undefined;
  let wake = Promise.withResolvers<void>();
  const end = () => {
    over = true;
    wake.resolve();
  };
  until?.then(end, end);
  const stop = () => wake.resolve();
  signal?.addEventListener('abort', stop, { once: true });
  using watcher = new DisposableStack();
  if (until !== undefined) {
    const watching = watch(dirname(path), () => wake.resolve());
    watching.on('error', stop);
    watcher.defer(() => watching.close());
  }
  let file = oldest;
  let offset = 0;
  try {
    const files = from === undefined ? [] : await listFiles(path);
    const known = files.findIndex(({ identity }) => identity === from?.file);
    file ??= await openNext(path, known > 0 ? files[known - 1]?.identity : undefined);
    if (file !== undefined && file.identity === from?.file) offset = from.offset;
    for (;;) {
      if (signal?.aborted) return;
      const last = over;
      for (;;) {
        file ??= await openNext(path, undefined);
        if (file === undefined) break;
        const next: OpenFile | undefined = await openNext(path, file.identity);
        // What was written before the rotation comes first.
        offset = yield* linesOf(file, offset);
        if (next === undefined) break;
        await file.handle.close();
        file = next;
        offset = 0;
        if (signal?.aborted) return;
      }
      yield 'caughtUp';
      if (last) return;
      await wake.promise;
      if (!over) wake = Promise.withResolvers<void>();
    }
  } finally {
    signal?.removeEventListener('abort', stop);
    await file?.handle.close();
  }
}

/**
 * Reads a container's log: what is there, and with `follow` on until `ended` resolves and the rest is read. Resolves once it
 * is open: a removal that comes after takes nothing from who reads. The reader must read, or the file stays open.
 */
export async function readLogs(
  path: string,
  options: LogsOptions,
  ended: Promise<unknown>,
): Promise<AsyncGenerator<LogRecord>> {
  return selected(path, options, ended, await openNext(path, undefined));
}

async function* selected(
  path: string,
  options: LogsOptions,
  ended: Promise<unknown>,
  oldest: OpenFile | undefined,
): AsyncGenerator<LogRecord> {
  const { since, until, tail, follow } = options;
  const wanted = ({ stream, time }: LogRecord) =>
    (stream === 'stdout' ? options.stdout : options.stderr) &&
    (since === undefined || new Date(time) >= since) &&
    (until === undefined || new Date(time) <= until);
  using limit = new DisposableStack();
  const stop = new AbortController();
  const signals = [stop.signal, ...(options.signal === undefined ? [] : [options.signal])];
  if (follow && until !== undefined) {
    const timer = setTimeout(() => stop.abort(), Math.min(Math.max(0, until.getTime() - Date.now()), 2 ** 31 - 1));
    limit.defer(() => clearTimeout(timer));
  }
  let held: LogRecord[] | undefined = tail === undefined ? undefined : [];
  const lines = followLog(path, { oldest, ...(follow ? { until: ended } : {}), signal: AbortSignal.any(signals) });
  for await (const line of lines) {
    if (line === 'caughtUp') {
      if (held !== undefined && tail !== undefined && tail > 0) yield* held.slice(-tail);
      held = undefined;
    } else if (wanted(line)) {
      if (held === undefined) yield line;
      else if (held.push(line) > 2 * (tail ?? 0) + 1024) held = held.slice(-(tail ?? 0) || held.length);
    }
  }
}
