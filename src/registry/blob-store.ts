import type { Readable } from 'node:stream';

/** Where the bytes of a blob are for who may read it: a file of this machine, or a URL that is good for a while. */
export type BlobPlace =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'stream'; open(start: number, end: number, signal: AbortSignal): Promise<Readable> };

/**
 * The bytes of blobs, each once, by digest; and the bytes of uploads, whose digest is not known yet. Nothing whose digest
 * was not verified is ever here as a blob. Rows of the database say which repositories hold a blob; a blob that none holds
 * is garbage. The methods said to belong to a transaction wait for the database alone.
 */
export interface BlobStore {
  stat(digest: string): Promise<{ size: number } | undefined>;
  /** A small blob whole (at most 8 MiB). @throws GantryError not-found, exhausted */
  read(digest: string): Promise<Buffer>;
  /** @throws GantryError not-found */
  open(digest: string, options?: { readonly signal?: AbortSignal }): Promise<Readable>;
  place(digest: string): Promise<BlobPlace>;
  /** Takes a blob in. @throws GantryError corrupt (code `digest-mismatch`): nothing of it is kept; exhausted */
  ingest(source: AsyncIterable<Uint8Array>, expected: { readonly digest: string }): Promise<{ size: number }>;
  /** Whether the bytes are here, and stay until the transaction ends. Within one that contends for the digest. */
  keep(digest: string): Promise<boolean>;
  /**
   * Takes the bytes away, within a transaction that contends for the digest and saw that nobody holds it; what is
   * returned is done when that is committed.
   */
  remove(digest: string): Promise<() => Promise<void>>;
  list(): AsyncIterable<{ readonly digest: string; readonly size: number }>;
  /** Frees what a crash left and nothing names, when it is a day old. */
  sweep(): Promise<void>;
  readonly uploads: UploadStore;
  /** @throws what makes it impossible to use it at this moment */
  check(): Promise<void>;
}

/** The bytes of uploads by their ids. They outlive a restart, and with a store that several hubs share one of them. */
export interface UploadStore {
  create(id: string): Promise<void>;
  /** In bytes. @throws GantryError not-found (code `upload-unknown`) */
  size(id: string): Promise<number>;
  /** Opens it to go on at its end, `offset`, where it is. @throws GantryError not-found, cancelled (another went on) */
  append(id: string, offset: number): Promise<UploadWriter>;
  /** Its first `size` bytes, to hash them anew; undefined where they can be read only when it is sealed. */
  read(id: string, size: number): Promise<AsyncIterable<Buffer> | undefined>;
  /** Nothing is appended any more; then it can be read, by what is returned. */
  seal(id: string): Promise<() => AsyncIterable<Buffer>>;
  /** Makes it, sealed, the blob that it was verified to be, on the disk when this returns. It is dropped afterwards. */
  adopt(id: string, verified: { readonly digest: string; readonly size: number }): Promise<void>;
  /** Idempotent. */
  drop(id: string): Promise<void>;
}

export interface UploadWriter {
  /** Appends. The buffers are the writer's, but that the caller may still read them before anything else runs. */
  write(batch: readonly Buffer[], size: number): Promise<void>;
  /** All that was written stays, as far as the store took it. */
  close(): Promise<void>;
  /** Nothing stays of what was written since it was opened. */
  undo(): Promise<void>;
}

/** The bytes of one blob, where they are at hand. */
export async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
