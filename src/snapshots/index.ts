export { extractTar } from './extract-tar.ts';
export type { Extracted, ExtractorOptions } from './extractor.ts';
export * from './graph-driver.ts';
