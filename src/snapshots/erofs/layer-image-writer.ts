import { createTarDecoder } from '#tar/index.ts';
import { openLowerView } from '../lower-view.ts';
import type { Unpacker } from '../unpacker.ts';
import { createBlockFile } from './block-file.ts';
import { completeLayer } from './complete-layer.ts';
import { createLayerBuilder } from './layer-builder.ts';
import { writeMetadata } from './write-metadata.ts';

/**
 * Writes a layer tar as an EROFS image, in one pass: contents as they come, and in the end, when the layers below are
 * there, all that tells of them. `fd` is an empty file and stays the caller's.
 */
export function createLayerImageWriter(fd: number): Unpacker {
  const decoder = createTarDecoder();
  const file = createBlockFile(fd);
  const builder = createLayerBuilder(file);
  return {
    write(chunk) {
      for (const event of decoder.decode(chunk)) builder.take(event);
    },
    finish() {
      decoder.finish();
      return { size: builder.built.size, implied: [], whiteouts: [] };
    },
    complete(lowerTrees) {
      using lower = openLowerView(lowerTrees);
      completeLayer(builder.built, lower);
      writeMetadata(builder.built.tree, file);
    },
    close() {},
  };
}
