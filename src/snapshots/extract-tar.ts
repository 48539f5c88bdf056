import { throwIfAborted, untilAborted } from '#errors/index.ts';
import { startExtraction } from './extract-pool.ts';
import type { Extracted, ExtractorOptions } from './extractor.ts';
import { createUnpacker, type UnpackJob } from './unpacker.ts';

/** A tar up to this size is unpacked at once: a worker would take longer to start than to do it. */
const INLINE_BYTES = 1 << 20;
/** What a worker gets at a time. */
const BATCH_BYTES = 1 << 20;
/** Room for a batch and the chunk that was one too many. */
const BUFFER_BYTES = 2 << 20;

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
  let extraction: ReturnType<typeof startExtraction> | undefined;
  try {
    for await (const chunk of untilAborted(tar, signal)) {
      head.push(chunk);
      have += chunk.length;
      if (have < (extraction === undefined ? INLINE_BYTES : BATCH_BYTES)) continue;
      extraction ??= startExtraction(job);
      await extraction.write(join(head.splice(0), have, extraction.spare()), have);
      have = 0;
    }
    throwIfAborted(signal);
    if (extraction === undefined) return unpackNow(head, job);
    if (have > 0) await extraction.write(join(head, have, extraction.spare()), have);
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

/** One buffer with memory of its own, which can be handed to another thread; `spare` where that is large enough. */
function join(chunks: readonly Uint8Array[], length: number, spare: ArrayBuffer | undefined): ArrayBuffer {
  const buffer =
    spare !== undefined && spare.byteLength >= length ? spare : new ArrayBuffer(Math.max(length, BUFFER_BYTES));
  const joined = new Uint8Array(buffer);
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  return buffer;
}
