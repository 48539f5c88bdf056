import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { GantryError, isGantryError, throwIfAborted } from '#errors/index.ts';
import { type Descriptor, parseDigest } from '#oci/index.ts';
import { blocksOf } from './gzip-members.ts';
import { inflate } from './inflate.ts';
import type { PartialDownload } from './partial-download.ts';
import { createYoungCollector } from './young-collector.ts';

export interface LayerStream {
  readonly source: AsyncIterable<Uint8Array>;
  /** Of the blob's digest. */
  readonly algorithm?: string;
  /** Where the blob's bytes are kept on the way, after the `have` first that are there; removed by the caller. */
  readonly keep?: PartialDownload;
  /** Told the compressed bytes that have gone through. */
  readonly onBytes?: (received: number) => void;
  readonly unpack?: (tar: AsyncIterable<Uint8Array>) => Promise<{ readonly size: number }>;
  readonly signal?: AbortSignal;
}

/** What a layer's bytes turned out to be. */
export interface StreamedLayer {
  readonly blob: { readonly digest: string; readonly size: number };
  readonly diffId: string;
  /** Bytes of the unpacked files, where it was unpacked. */
  readonly size: number | undefined;
  /** Why it could not be unpacked. */
  readonly failure: { readonly error: unknown } | undefined;
}

export interface LayerPass extends LayerStream {
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

/** Fewer, larger steps: each costs a turn of the event loop and one of the thread pool. */
const stepBytes = 256 * 1024;

/** The same items, but a reader that stops early does not end the source. */
const keptOpen = <T>(source: AsyncGenerator<T>): AsyncIterable<T> => ({
  [Symbol.asyncIterator]: () => ({ next: () => source.next() }),
});

const drain = async (source: AsyncGenerator<unknown>) => {
  while (!(await source.next()).done);
};

const outOfSpace = (error: unknown): unknown =>
  error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
    ? new GantryError('exhausted', `no space left for the layer: ${error.message}`, { code: 'no-space', cause: error })
    : error;

/** Takes a layer through in one pass: hash of the blob → file → decompress → hash of the tar → unpack. */
export async function streamLayer(pass: LayerStream): Promise<StreamedLayer> {
  const { signal, algorithm = 'sha256' } = pass;
  const blobHash = createHash(algorithm);
  const tarHash = createHash('sha256');
  const kept =
    pass.keep === undefined
      ? undefined
      : await open(pass.keep.file, pass.keep.have > 0 ? 'a' : 'wx', 0o600).catch((e) => Promise.reject(outOfSpace(e)));
  const have = pass.keep?.have ?? 0;
  const collector = createYoungCollector();
  let received = 0;
  let broken: { readonly error: unknown } | undefined;

  const bytes = (async function* () {
    try {
      for await (const step of blocksOf(pass.source, stepBytes)) {
        throwIfAborted(signal);
        const isNew = step.subarray(Math.max(0, have - received));
        received += step.length;
        const written = isNew.length === 0 ? undefined : write(kept, isNew);
        blobHash.update(step);
        yield step;
        await written;
        pass.onBytes?.(received);
        collector.passed(step.length);
      }
    } catch (error) {
      broken = { error: outOfSpace(error) };
      throw broken.error;
    }
  })();
  const tar = (async function* () {
    for await (const chunk of inflate(keptOpen(bytes))) {
      throwIfAborted(signal);
      tarHash.update(chunk);
      yield chunk;
      collector.passed(chunk.length);
    }
  })();

  let size: number | undefined;
  let failure: { readonly error: unknown } | undefined;
  try {
    try {
      size = (await pass.unpack?.(keptOpen(tar)))?.size;
      await drain(tar); // what follows the archive's end belongs to the diff id
    } catch (error) {
      if (!isGantryError(error, 'corrupt') && !isGantryError(error, 'invalid')) throw outOfSpace(error);
      failure = { error };
    }
    // Bytes that cannot be unpacked are most often not the bytes that were asked for: that is said first.
    if (broken === undefined) await drain(bytes);
  } finally {
    await tar.return(undefined);
    await bytes.return(undefined);
    await kept?.close();
  }
  if (broken !== undefined) throw (broken as { readonly error: unknown }).error;
  const blob = { digest: `${algorithm}:${blobHash.digest('hex')}`, size: received };
  return { blob, diffId: `sha256:${tarHash.digest('hex')}`, size, failure };
}

/**
 * The same for a layer of which all is known. Resolves only when size, digest and diff id are right; nothing that the file
 * or `unpack` got may be made visible before.
 * @throws GantryError corrupt (code `size-mismatch`, `digest-mismatch`, `diff-id-mismatch` or the unpacker's), exhausted, cancelled
 */
export async function passLayer(pass: LayerPass): Promise<{ readonly size: number | undefined }> {
  const { descriptor } = pass;
  const { blob, diffId, size, failure } = await streamLayer({
    ...pass,
    algorithm: parseDigest(descriptor.digest).algorithm,
  });
  if (blob.size !== descriptor.size)
    throw new GantryError('corrupt', `the layer ${descriptor.digest} has ${blob.size} bytes, not ${descriptor.size}`, {
      code: 'size-mismatch',
    });
  if (blob.digest !== descriptor.digest)
    throw new GantryError(
      'corrupt',
      `filesystem layer verification failed for digest ${descriptor.digest}: the bytes are ${blob.digest}`,
      { code: 'digest-mismatch' },
    );
  if (failure !== undefined) throw failure.error;
  if (diffId !== pass.diffId)
    throw new GantryError(
      'corrupt',
      `the layer ${descriptor.digest} unpacks to ${diffId}, and the image's config says ${pass.diffId}`,
      { code: 'diff-id-mismatch' },
    );
  return { size };
}

const write = (file: FileHandle | undefined, bytes: Uint8Array): Promise<void> | undefined => {
  const written = file?.appendFile(bytes);
  written?.catch(() => {}); // awaited after the reader has had the bytes
  return written;
};
