import type { Readable } from 'node:stream';
import type { Mount } from '#oci/index.ts';

/**
 * A graph driver turns snapshots into mounts. A *layer* is an unpacked layer chain, named by chain id, read-only and
 * shared; a *diff* is the writable top of one container or build step, named by an id the caller chooses.
 *
 * Lifecycle: `prepareLayer` → fill `writer.directory` → `commit` (atomic: rename) or `abort`. `createDiff` on a chain →
 * `mounts(id)` (pure: nothing is mounted here) → run → `diff` / `commitDiff` → `removeDiff`.
 * Every implementation passes `graphDriverSuite` (graph-driver-suite.ts).
 */
export interface GraphDriver {
  readonly name: string;
  hasLayer(chainId: string): Promise<boolean>;
  /** Begins an unpacked layer on top of `parent` (a chain id, or undefined for the first). One at a time per chain id. */
  prepareLayer(chainId: string, parent: string | undefined): Promise<LayerWriter>;
  /** Removes an unpacked layer. @throws GantryError conflict where a diff or another layer stands on it */
  removeLayer(chainId: string): Promise<void>;
  layers(): AsyncIterable<{ chainId: string; parent: string | undefined; size: number }>;

  createDiff(id: string, parent: string | undefined, options?: { volatile?: boolean }): Promise<void>;
  hasDiff(id: string): Promise<boolean>;
  /** What must be mounted to see the diff on its chain, in order; destination `/` is the root. Read-write. */
  mounts(id: string): Promise<readonly Mount[]>;
  /** The same for a chain alone, read-only. */
  view(chainId: string): Promise<readonly Mount[]>;
  /** The diff as an uncompressed OCI layer tar (whiteouts as `.wh.`), entries in a stable order. */
  diff(id: string): Promise<Readable>;
  /** What the diff changed: paths with kind, as `docker diff`. */
  changes(id: string): AsyncIterable<{ path: string; kind: 'modified' | 'added' | 'deleted' }>;
  /** Turns the diff itself into the layer `chainId` (its directory is renamed, nothing copied); the diff is gone. */
  commitDiff(id: string, chainId: string): Promise<void>;
  /** Bytes on disk of the diff alone. */
  diffSize(id: string): Promise<number>;
  removeDiff(id: string): Promise<void>;
  diffs(): AsyncIterable<string>;
}

export interface LayerWriter {
  /** Where the layer's tree goes, in this driver's own on-disk form (see `unpackLayer`). */
  readonly directory: string;
  commit(): Promise<void>;
  abort(): Promise<void>;
}
