import { posix } from 'node:path';

/** `CONTAINER:PATH`, or a local path. */
export interface CopyEnd {
  readonly container: string | undefined;
  readonly path: string;
}

/** What begins with `/` or `.` is local, colons and all: `./a:b` (docker cp). */
export function parseCopyEnd(text: string): CopyEnd {
  const colon = text.indexOf(':');
  if (colon < 0 || text.startsWith('/') || text.startsWith('.')) return { container: undefined, path: text };
  return { container: text.slice(0, colon), path: text.slice(colon + 1) };
}

export const isContentOnly = (path: string): boolean => path === '.' || path.endsWith('/.');
export const assertsDirectory = (path: string): boolean => path.endsWith('/') || isContentOnly(path);

/** What stands at the destination: links are followed. */
export type Destination = 'directory' | 'other' | 'nothing';

/** Where a copy goes: into `directory`, under `name`; without a name its content goes right into the directory. */
export interface CopyPlace {
  readonly directory: string;
  readonly name: string | undefined;
}

/**
 * Docker's rules of `cp`. `path` is the destination as given, its links followed.
 * @returns the place, or why there is none
 */
export function placeCopy(
  source: { readonly path: string; readonly directory: boolean },
  path: string,
  destination: Destination,
): CopyPlace | string {
  const parent = { directory: posix.dirname(posix.normalize(path)), name: posix.basename(posix.normalize(path)) };
  switch (destination) {
    case 'directory':
      return {
        directory: path,
        name: source.directory && isContentOnly(source.path) ? undefined : nameOf(source.path),
      };
    case 'other':
      return source.directory ? 'cannot copy directory' : parent;
    case 'nothing':
      return !source.directory && assertsDirectory(path) ? 'no such directory' : parent;
  }
}

/** The last component of a path; undefined for the root, whose content is all there is to copy. */
function nameOf(path: string): string | undefined {
  const name = posix.basename(posix.resolve('/', path));
  return name === '' ? undefined : name;
}
