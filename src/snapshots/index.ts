export { extractTar } from './extract-tar.ts';
export type { Extracted, ExtractorOptions } from './extractor.ts';
export * from './graph-driver.ts';
export { overlaySupported } from './overlay-support.ts';
export { createOverlay2Driver } from './overlay2-driver.ts';
export { type PackOptions, type PackPolicy, packTree, packTreeWith } from './pack-tree.ts';
export { type OpenDirectory, openDirectoryInRoot } from './parent-walk.ts';
export { createVfsDriver } from './vfs-driver.ts';
