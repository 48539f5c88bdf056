import type { Descriptor, ImageConfig } from '#oci/index.ts';
import type { ImageDocument } from './image-document.ts';

/** Of an image's documents what a listing shows, without their bytes. */
export interface ShownDocument {
  readonly descriptor: Descriptor;
  /** The config's digest. */
  readonly id: string;
  readonly config: ImageConfig;
  readonly layers: readonly Descriptor[];
  /** Of each layer, in order. */
  readonly chainIds: readonly string[];
}

/** Bytes of documents whose contents are kept; parsed they take two to three times that. */
const budget = 8 << 20;

/**
 * Keeps the contents of documents that were read and verified once. They are named by digest, so they never change; one
 * that is no longer held has to be forgotten. When the budget is spent nothing makes room: a listing reads all in turn,
 * and to drop the oldest would then drop each just before it is asked for.
 */
export function createShownDocuments(read: (digest: string) => ImageDocument | undefined) {
  const kept = new Map<string, { readonly document: ShownDocument; readonly bytes: number }>();
  let spent = 0;
  return {
    of(digest: string): ShownDocument | undefined {
      const known = kept.get(digest);
      if (known !== undefined) return known.document;
      const found = read(digest);
      if (found === undefined) return undefined;
      const { descriptor, manifest, config, chain, manifestBytes, configBytes } = found;
      const chainIds = chain.map(({ chainId }) => chainId);
      const document = { descriptor, id: manifest.config.digest, config, layers: manifest.layers, chainIds };
      const bytes = manifestBytes.length + configBytes.length;
      if (spent + bytes <= budget) {
        kept.set(digest, { document, bytes });
        spent += bytes;
      }
      return document;
    },
    forget(digest: string): void {
      spent -= kept.get(digest)?.bytes ?? 0;
      kept.delete(digest);
    },
  };
}
