import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where a program or library that is built from native/ is: beside a compiled program's folder, else in `build/`. */
export const nativePath = (name: string): string =>
  'bun' in process.versions
    ? `${dirname(dirname(process.execPath))}/${name}`
    : fileURLToPath(new URL(`../../build/${name}`, import.meta.url));
