import type { Readable } from 'node:stream';

/**
 * The content store: blobs addressed by digest. On disk it *is* an OCI image layout (image-spec: image-layout.md):
 * `<root>/oci-layout`, `<root>/index.json`, `<root>/blobs/<algorithm>/<hex>`. A blob is written to a temporary name,
 * hashed on the way, fsynced, renamed. Nothing whose digest differs from what was expected is ever visible.
 */
export interface ContentStore {
  /** The layout's directory. */
  readonly root: string;
  /** The path of a blob's file (it may not exist). @throws GantryError invalid */
  path(digest: string): string;
  /** Size in bytes, or undefined where the store does not hold it. */
  stat(digest: string): Promise<{ size: number } | undefined>;
  /** A blob's bytes, from `start` to `end`, both inclusive. @throws GantryError not-found */
  open(digest: string, options?: { start?: number; end?: number; signal?: AbortSignal }): Promise<Readable>;
  /** A small blob whole (at most 8 MiB). @throws GantryError not-found, exhausted */
  read(digest: string): Promise<Buffer>;
  /**
   * Takes a blob in. Where `expected` is given, a difference removes every byte and throws.
   * @throws GantryError corrupt (code `digest-mismatch` | `size-mismatch`), cancelled, exhausted (ENOSPC)
   */
  ingest(
    source: AsyncIterable<Uint8Array>,
    expected?: { digest?: string; size?: number },
    options?: { signal?: AbortSignal },
  ): Promise<{ digest: string; size: number }>;
  /**
   * Takes in a file of the same file system that the caller wrote and hashed itself (a resumed upload, a pull that is
   * unpacked in the same pass): fsync, rename. The file is gone afterwards, also where the blob was already there; with
   * `keep` it stays as a second name of the bytes, and may be adopted again if the blob is deleted meanwhile.
   */
  adopt(file: string, verified: { digest: string; size: number }, options?: { keep?: boolean }): Promise<void>;
  /** A directory on the store's file system for such files; swept of what is older than a day when the store is opened. */
  readonly staging: string;
  /** Idempotent. */
  delete(digest: string): Promise<void>;
  list(): AsyncIterable<{ digest: string; size: number }>;
  /** Rewrites `index.json` whole (tmp + rename): the store readable as `oci:` by other tools. */
  writeIndex(manifests: readonly import('#oci/index.ts').Descriptor[]): Promise<void>;
}
