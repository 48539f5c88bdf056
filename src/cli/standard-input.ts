import { createReadStream, fstatSync } from 'node:fs';
import type { Readable } from 'node:stream';

/** Standard input from where it stands. `process.stdin` of a compiled program reads a file from its beginning, whoever read of it before. */
export const standardInput = (): Readable =>
  fstatSync(0).isFile() ? createReadStream('', { fd: 0, autoClose: false }) : process.stdin;
