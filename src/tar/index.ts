export { readTar, type TarEntry } from './read-tar.ts';
export { createTarDecoder, type TarDecoder, type TarEvent } from './tar-decoder.ts';
export type { TarEntryType, TarHeader, TarTime } from './tar-header.ts';
export { decodeName, encodeName } from './tar-name.ts';
export * from './write-tar.ts';
