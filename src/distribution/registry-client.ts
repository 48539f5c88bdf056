import type { Readable } from 'node:stream';
import type { Reference } from '#oci/index.ts';
import type { RateLimit } from './rate-limit.ts';
import type { FoundRepository } from './search-repositories.ts';

/** Credentials for one registry; `identityToken` is an OAuth2 refresh token. */
export interface Credentials {
  readonly username?: string;
  readonly password?: string;
  readonly identityToken?: string;
}

/** The OCI distribution API from the client's side (distribution-spec 1.1), with Docker's token and Basic flows. */
export interface RegistryClient {
  /**
   * Checks credentials against `/v2/`. Where the registry gives a token that stands for the account (an OAuth2 refresh
   * token), that can be kept instead of the password. @throws GantryError unauthorized, unavailable
   */
  login(registry: string, credentials: Credentials, options?: RequestOptions): Promise<{ identityToken?: string }>;
  /** Whether others are asked before a registry itself. */
  hasMirrors(registry: string): boolean;
  /** By tag or digest. Digest verified where one was asked. @throws not-found, unauthorized, forbidden, corrupt */
  getManifest(ref: Reference, options?: RequestOptions): Promise<FetchedManifest>;
  headManifest(
    ref: Reference,
    options?: RequestOptions,
  ): Promise<{ digest: string; mediaType: string; size: number } | undefined>;
  /** Raw bytes from `start` on; the caller verifies (ContentStore.ingest does). */
  getBlob(ref: Reference, digest: string, options?: RequestOptions & { start?: number }): Promise<Readable>;
  hasBlob(ref: Reference, digest: string, options?: RequestOptions): Promise<boolean>;
  /** Uploads unless there; tries a mount from each of `mountFrom` first. Says how it got there. */
  putBlob(
    ref: Reference,
    blob: BlobSource,
    options?: RequestOptions & { mountFrom?: readonly string[]; onProgress?: (bytes: number) => void },
  ): Promise<{ how: 'existed' | 'mounted' | 'uploaded'; from?: string }>;
  putManifest(
    ref: Reference,
    manifest: { mediaType: string; bytes: Uint8Array },
    options?: RequestOptions,
  ): Promise<{ digest: string }>;
  listTags(ref: Reference, options?: RequestOptions): Promise<readonly string[]>;
  /** See searchRepositories. */
  search(term: string, options: RequestOptions & { limit: number }): Promise<readonly FoundRepository[]>;
}

/** A blob to send; `end` is inclusive. It may be opened several times. */
export interface BlobSource {
  readonly digest: string;
  readonly size: number;
  open(range: { readonly start: number; readonly end: number }): Promise<Readable>;
}

export interface RequestOptions {
  readonly credentials?: Credentials | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The registry itself is asked: its mirrors have failed. */
  readonly passMirrors?: boolean | undefined;
}

export interface FetchedManifest {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: Buffer;
  /** Who answered: the registry's host, or a mirror's. */
  readonly host?: string;
  readonly rateLimit?: RateLimit;
}
