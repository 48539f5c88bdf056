export { extractTar } from './extract-tar.ts';
export type { Extracted, ExtractorOptions } from './extractor.ts';
export * from './graph-driver.ts';
export { overlaySupported } from './overlay-support.ts';
export { createOverlay2Driver } from './overlay2-driver.ts';
export { type PackOptions, packTree } from './pack-tree.ts';
export { createVfsDriver } from './vfs-driver.ts';
