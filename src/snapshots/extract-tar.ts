import { throwIfAborted, untilAborted } from '#errors/index.ts';
import { type Extraction, startExtraction } from './extract-pool.ts';
import type { Extracted, ExtractorOptions } from './extractor.ts';
import { createUnpacker, type UnpackJob } from './unpacker.ts';

/** A tar up to this size is unpacked at once: a worker would take longer to start than to do it. */
const INLINE_BYTES = 1 << 20;
/** What a worker gets at a time. Three such buffers go round. */
const BATCH_BYTES = 512 * 1024;

/**
 * Unpacks a tar below an open directory. Everything is resolved inside it: absolute names and links count from it, and a
 * link that leads out is never followed. Types, owners, modes, times, devices, hard links and xattrs are the archive's;
 * xattrs only of `user.*`, capabilities and ACLs. Large archives unpack in a worker thread.
 * Where it throws, what was unpacked so far stays.
 * @throws GantryError corrupt (a malformed tar, a hard link to nothing), invalid (a name that climbs out), unsupported
 * (sparse files), exhausted, cancelled
 */
export async function extractTar(
  tar: AsyncIterable<Uint8Array>,
  rootFd: number,
  { signal, ...options }: ExtractorOptions & { readonly signal?: AbortSignal },
): Promise<Extracted> {
  return (await unpackTar(tar, { kind: 'tree', rootFd, options }, signal)).extracted;
}

/** A tar that was taken in whole. */
export interface Unpacked {
  readonly extracted: Extracted;
  /** Of an image: see Unpacker. Either this or `abort` must follow. */
  complete(lowerTrees: readonly string[]): Promise<void>;
  abort(): Promise<void>;
}

/** Takes a tar in: at once where it is small, in a worker thread otherwise. @throws GantryError as extractTar */
export async function unpackTar(
  tar: AsyncIterable<Uint8Array>,
  job: UnpackJob,
  signal: AbortSignal | undefined,
): Promise<Unpacked> {
  throwIfAborted(signal);
  const head: Uint8Array[] = [];
  let have = 0;
  let extraction: Extraction | undefined;
  let batch: Batch | undefined;
  try {
    for await (const chunk of untilAborted(tar, signal)) {
      if (batch !== undefined) await batch.add(chunk);
      else {
        head.push(chunk);
        have += chunk.length;
        if (have < INLINE_BYTES) continue;
        extraction = startExtraction(job);
        batch = createBatch(extraction);
        for (const first of head.splice(0)) await batch.add(first);
      }
    }
    throwIfAborted(signal);
    if (extraction === undefined || batch === undefined) return unpackNow(head, job);
    await batch.flush();
    const { complete, abort } = extraction;
    return { extracted: await extraction.finish(), complete, abort };
  } catch (error) {
    await extraction?.abort();
    // A source that was cut off by the same signal says so in words of its own.
    throwIfAborted(signal);
    throw error;
  }
}

function unpackNow(chunks: readonly Uint8Array[], job: UnpackJob): Unpacked {
  const unpacker = createUnpacker(job);
  try {
    for (const chunk of chunks) unpacker.write(chunk);
    return {
      extracted: unpacker.finish(),
      complete: async (lowerTrees) => unpacker.complete?.(lowerTrees),
      abort: async () => unpacker.close(),
    };
  } finally {
    unpacker.close();
  }
}

interface Batch {
  add(bytes: Uint8Array): Promise<void>;
  flush(): Promise<void>;
}

/** Regroups chunks into buffers with memory of their own, which can be handed to another thread and come back. */
function createBatch(extraction: Extraction): Batch {
  let buffer: Uint8Array<ArrayBuffer> | undefined;
  let filled = 0;
  const flush = async (): Promise<void> => {
    if (buffer === undefined) return;
    const whole = buffer.buffer;
    buffer = undefined;
    await extraction.write(whole, filled);
  };
  return {
    async add(bytes) {
      for (let at = 0; at < bytes.length; ) {
        if (buffer === undefined) {
          buffer = new Uint8Array(extraction.spare() ?? new ArrayBuffer(BATCH_BYTES));
          filled = 0;
        }
        const part = bytes.subarray(at, at + BATCH_BYTES - filled);
        buffer.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled === BATCH_BYTES) await flush();
      }
    },
    flush,
  };
}
