import { throwIfAborted, untilAborted } from '#errors/index.ts';
import { startExtraction } from './extract-pool.ts';
import { createExtractor, type Extracted, type ExtractorOptions } from './extractor.ts';

/** A tar up to this size is unpacked at once: a worker would take longer to start than to do it. */
const INLINE_BYTES = 1 << 20;
/** What a worker gets at a time. */
const BATCH_BYTES = 1 << 20;

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
  throwIfAborted(signal);
  const head: Uint8Array[] = [];
  let have = 0;
  let extraction: ReturnType<typeof startExtraction> | undefined;
  try {
    for await (const chunk of untilAborted(tar, signal)) {
      head.push(chunk);
      have += chunk.length;
      if (have < (extraction === undefined ? INLINE_BYTES : BATCH_BYTES)) continue;
      extraction ??= startExtraction(rootFd, options);
      await extraction.write(join(head.splice(0), have));
      have = 0;
    }
    throwIfAborted(signal);
    if (extraction === undefined) return extractNow(head, rootFd, options);
    if (have > 0) await extraction.write(join(head, have));
    return await extraction.finish();
  } catch (error) {
    await extraction?.abort();
    // A source that was cut off by the same signal says so in words of its own.
    throwIfAborted(signal);
    throw error;
  }
}

function extractNow(chunks: readonly Uint8Array[], rootFd: number, options: ExtractorOptions): Extracted {
  const extractor = createExtractor(rootFd, options);
  try {
    for (const chunk of chunks) extractor.write(chunk);
    return extractor.finish();
  } finally {
    extractor.close();
  }
}

/** One buffer with memory of its own, which can be handed to another thread. */
function join(chunks: readonly Uint8Array[], length: number): ArrayBuffer {
  const joined = new Uint8Array(new ArrayBuffer(length));
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  return joined.buffer;
}
