import { GantryError } from '#errors/index.ts';

/** PATH_MAX, less the NUL: what is longer no program could open by its name. */
const MAX_PATH = 4095;

/**
 * A tar's name as a path below the root: relative, without empty, `.` and `..` components; '' is the root itself. An
 * absolute name counts from the root.
 * @throws GantryError invalid (code `path-escapes`) for one that climbs out of the root, or is too long
 */
export function cleanEntryPath(name: string): string {
  if (name.length > MAX_PATH)
    throw new GantryError('invalid', `a name of ${name.length} bytes; ${MAX_PATH} is the most`);
  if (isClean(name)) return name;
  const path: string[] = [];
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') path.push(part);
    else if (path.pop() === undefined)
      throw new GantryError('invalid', `"${name}" climbs out of the root with ".."`, { code: 'path-escapes' });
  }
  return path.join('/');
}

/** True without a false positive: no component that begins with a dot, no slash at either end, none doubled. */
const isClean = (name: string): boolean =>
  !name.includes('/.') && !name.includes('//') && !/^[./]|\/$/.test(name) && name !== '';

export const directoryOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));
export const baseOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
export const joinPath = (directory: string, name: string): string => (directory === '' ? name : `${directory}/${name}`);
