import type { Readable } from 'node:stream';
import type { Mount } from '#oci/index.ts';

/**
 * A graph driver turns snapshots into mounts. A *layer* is an unpacked layer chain, named by chain id, read-only and
 * shared; a *diff* is the writable top of one container or build step, named by an id the caller chooses.
 *
 * Lifecycle: `prepareLayer` → `writer.unpack(tar)` → `commit` (atomic: rename) or `abort`. `createDiff` on a chain →
 * `mounts(id)` (pure: nothing is mounted here) → run → `diff` / `commitDiff` → `removeDiff`.
 * Every implementation passes `graphDriverSuite` (graph-driver-suite.ts).
 */
export interface GraphDriver extends AsyncDisposable {
  readonly name: string;
  hasLayer(chainId: string): Promise<boolean>;
  /** Whether a layer can be unpacked before its parent is committed (overlay2: each layer has a directory of its own). */
  readonly independentLayers: boolean;
  /**
   * Begins an unpacked layer on top of `parent` (a chain id, or undefined for the first). One at a time per chain id.
   * The parent must be committed before this (or before `commit`, where `independentLayers`).
   * @throws GantryError conflict (code `layer-exists`) where it is unpacked or being unpacked, not-found
   */
  prepareLayer(chainId: string, parent: string | undefined): Promise<LayerWriter>;
  /** Removes an unpacked layer. @throws GantryError conflict where a diff or another layer stands on it */
  removeLayer(chainId: string): Promise<void>;
  layers(): AsyncIterable<{ chainId: string; parent: string | undefined; size: number }>;
  /**
   * Puts the layer `from` in the place of `chainId`, whose tree goes (or is missing already); for repairs. Both stand on the
   * same parent; nothing may be mounted on `chainId`. @throws GantryError not-found
   */
  replaceLayer(from: string, chainId: string): Promise<void>;
  /** What each layer and diff takes on the disk, directories included: as `du` counts. */
  usage(): AsyncIterable<{ kind: 'layer' | 'diff'; id: string; bytes: number }>;

  /**
   * A `volatile` diff is never synced and so is discarded when the driver opens after the machine went down; in the same
   * boot it may be mounted again and again. `id` is a file name: letters, digits and `_.-`.
   * @throws GantryError conflict (the id is taken), not-found (the parent), invalid
   */
  createDiff(id: string, parent: string | undefined, options?: { volatile?: boolean }): Promise<void>;
  hasDiff(id: string): Promise<boolean>;
  /** The chain a diff stands on. @throws GantryError not-found */
  diffParent(id: string): Promise<string | undefined>;
  /** What must be mounted to see the diff on its chain, in order; destination `/` is the root. Read-write. */
  mounts(id: string): Promise<readonly Mount[]>;
  /** The same for a chain alone, read-only. */
  view(chainId: string): Promise<readonly Mount[]>;
  /** The diff as an uncompressed OCI layer tar (whiteouts as `.wh.`), entries in a stable order. */
  diff(id: string): Promise<Readable>;
  /** The same of a committed layer against its parent. Byte-identical to what `diff` gave before `commitDiff`. */
  layerDiff(chainId: string): Promise<Readable>;
  /** What the diff changed: paths with kind, as `docker diff`. */
  changes(id: string): AsyncIterable<{ path: string; kind: 'modified' | 'added' | 'deleted' }>;
  /**
   * Turns the diff itself into the layer `chainId` (its directory is renamed, nothing copied); the diff is gone. Where
   * that layer exists already, the diff is just removed. A chain id is any `sha256:` digest: the builder names layers
   * that no image holds by their cache key. Durable when it resolves; the diff must not be mounted any more.
   */
  commitDiff(id: string, chainId: string): Promise<void>;
  /** Bytes of the files that the diff has of its own. */
  diffSize(id: string): Promise<number>;
  removeDiff(id: string): Promise<void>;
  /**
   * The first half of `removeDiff`: the diff is gone for everybody; what is returned removes its files. Where that does not
   * come to be, they are removed when the driver is next made.
   */
  hideDiff(id: string): Promise<() => Promise<void>>;
  diffs(): AsyncIterable<string>;
}

export interface LayerWriter {
  /**
   * Unpacks an uncompressed OCI layer tar in this driver's own on-disk form (image-spec: layer.md). Nothing is ever
   * written outside the layer, whatever the names and links in the tar say. Resolves with the bytes of file contents.
   * @throws GantryError corrupt (a malformed tar), invalid (an entry that cannot be contained), exhausted, cancelled
   */
  unpack(tar: AsyncIterable<Uint8Array>, options?: { signal?: AbortSignal }): Promise<{ size: number }>;
  /** Durable and visible under its chain id, atomically. */
  commit(): Promise<void>;
  abort(): Promise<void>;
}
