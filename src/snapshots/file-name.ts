import type { FileName } from '#linux/index.ts';
import { decodeName, encodeName } from '#tar/index.ts';

/** A path of text as the kernel takes it. */
export const toFileName = (path: string): FileName =>
  path.isWellFormed() ? path : Buffer.concat([encodeName(path), Buffer.of(0)]);

/** A kernel's name as text. */
export const fromFileName = (name: FileName): string =>
  typeof name === 'string' ? name : decodeName(name.subarray(0, -1));

/** Order of the names' bytes. */
export function compareNames(a: FileName, b: FileName): number {
  if (typeof a === 'string' && typeof b === 'string') {
    // Code units order as bytes do, as long as no surrogates are in play.
    if (!/[\ud800-\udfff]/.test(a + b)) return a < b ? -1 : a > b ? 1 : 0;
  }
  return Buffer.compare(Buffer.from(a as string), Buffer.from(b as string));
}
