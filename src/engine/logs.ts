import { watch } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { LogRecord, LogsOptions } from './engine.ts';

/** The rotated files of a json-file log, oldest first: `x.log.2`, `x.log.1`, `x.log`. */
async function logFiles(path: string): Promise<readonly string[]> {
  const prefix = `${basename(path)}.`;
  const rotated = (await readdir(dirname(path)).catch(() => []))
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .toSorted((a, b) => b - a);
  return [...rotated.map((n) => `${path}.${n}`), path];
}

function parseLine(line: string): LogRecord | undefined {
  try {
    const { log, stream, time } = JSON.parse(line) as { log: string; stream: 'stdout' | 'stderr'; time: string };
    return { stream, time, text: Buffer.from(log) };
  } catch {
    return undefined; // the torn last line of a shim that was killed
  }
}

/** Whole lines of one file from where `state.position` is. */
async function* newLines(handle: FileHandle, state: { position: number; rest: Buffer }): AsyncGenerator<LogRecord> {
  const chunk = Buffer.allocUnsafe(256 * 1024);
  for (;;) {
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, state.position);
    if (bytesRead === 0) return;
    state.position += bytesRead;
    let data = Buffer.concat([state.rest, chunk.subarray(0, bytesRead)]);
    for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10)) {
      const record = parseLine(data.toString('utf8', 0, end));
      data = data.subarray(end + 1);
      if (record !== undefined) yield record;
    }
    state.rest = data;
  }
}

/**
 * Reads a container's json-file log: all rotated files in order; with `follow`, on until `ended` resolves and the
 * rest is drained. Follows across a rotation by inode.
 */
export async function* readLogs(
  path: string,
  options: LogsOptions,
  ended: Promise<unknown>,
): AsyncGenerator<LogRecord> {
  const wanted = (record: LogRecord) =>
    (record.stream === 'stdout' ? options.stdout : options.stderr) &&
    (options.since === undefined || new Date(record.time) >= options.since) &&
    (options.until === undefined || new Date(record.time) <= options.until);
  let over = false;
  let wake = Promise.withResolvers<void>();
  const end = () => {
    over = true;
    wake.resolve();
  };
  void ended.then(end, end);
  options.signal?.addEventListener('abort', end, { once: true });
  const watcher = options.follow ? watch(dirname(path), () => wake.resolve()) : undefined;
  let handle: FileHandle | undefined;
  try {
    const held: LogRecord[] = [];
    const state = { position: 0, rest: Buffer.alloc(0) };
    const files = await logFiles(path);
    for (const file of files) {
      await handle?.close();
      handle = await open(file).catch(() => undefined);
      if (handle === undefined) continue;
      state.position = 0;
      state.rest = Buffer.alloc(0);
      for await (const record of newLines(handle, state)) {
        if (!wanted(record)) continue;
        if (options.tail === undefined) yield record;
        else {
          held.push(record);
          if (held.length > options.tail) held.shift();
        }
      }
    }
    yield* held;
    if (!options.follow) return;
    for (;;) {
      const last = over;
      if (options.signal?.aborted) return;
      handle ??= await open(path).catch(() => undefined);
      if (handle !== undefined) {
        for await (const record of newLines(handle, state)) if (wanted(record)) yield record;
        const now = await stat(path).catch(() => undefined);
        if (now !== undefined && now.ino !== (await handle.stat()).ino) {
          for await (const record of newLines(handle, state)) if (wanted(record)) yield record;
          await handle.close();
          handle = await open(path);
          state.position = 0;
          state.rest = Buffer.alloc(0);
          continue;
        }
      }
      if (last) return;
      await wake.promise;
      if (!over) wake = Promise.withResolvers<void>();
    }
  } finally {
    watcher?.close();
    options.signal?.removeEventListener('abort', end);
    await handle?.close();
  }
}
