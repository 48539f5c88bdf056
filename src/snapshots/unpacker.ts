import { createLayerImageWriter } from './erofs/layer-image-writer.ts';
import { createExtractor, type Extracted, type ExtractorOptions } from './extractor.ts';

/** What takes a tar that is pushed in chunks. Every call is synchronous: it runs in a worker, or at once for a small tar. */
export interface Unpacker {
  /** @throws GantryError as LayerWriter.unpack */
  write(chunk: Uint8Array): void;
  /** After the last chunk: checks that the archive is whole. */
  finish(): Extracted;
  /** Of an image: writes what depends on the layers below, whose trees these are, topmost first. After `finish`. */
  complete?(lowerTrees: readonly string[]): void;
  /** Closes what is open, in the end or when given up. Idempotent. */
  close(): void;
}

/** What a tar becomes: files below an open directory, or an EROFS image in an open, empty file. */
export type UnpackJob =
  | { readonly kind: 'tree'; readonly rootFd: number; readonly options: ExtractorOptions }
  | { readonly kind: 'image'; readonly fd: number };

export const createUnpacker = (job: UnpackJob): Unpacker =>
  job.kind === 'tree' ? createExtractor(job.rootFd, job.options) : createLayerImageWriter(job.fd);
