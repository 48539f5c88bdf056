import type { ContentStore } from '#content/index.ts';
import type { RegistryClient } from '#distribution/index.ts';
import type { GraphDriver } from '#snapshots/index.ts';
import type { Collector } from './collector.ts';
import type { ChainLayer, ImageDocument } from './image-document.ts';
import type { ImageTable } from './image-table.ts';
import type { Layers } from './layers.ts';
import type { Leases } from './leases.ts';

/** Work in progress: what it holds is not collected; what it brought goes when it ends without `keep`. */
export interface Work extends AsyncDisposable {
  /** Holds more digests of the content store. */
  holdBlobs(digests: readonly string[]): Promise<void>;
  holdLayers(chain: readonly ChainLayer[]): Promise<void>;
  keep(): void;
}

/** What each verb of the image service works with. */
export interface Deps {
  readonly content: ContentStore;
  readonly driver: GraphDriver;
  readonly registry: RegistryClient;
  readonly table: ImageTable;
  readonly leases: Leases;
  readonly layers: Layers;
  readonly collector: Collector;
  begin(digests: readonly string[]): Promise<Work>;
  /** Stores an image's manifest and config as blobs, byte for byte. */
  keepDocuments(image: ImageDocument, signal: AbortSignal | undefined): Promise<void>;
  /** Brings the layout's `index.json` up to what the tables say. */
  writeIndex(): Promise<void>;
  /** What it should say. */
  indexText(): string;
}
