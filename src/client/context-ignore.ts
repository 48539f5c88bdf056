import { posix } from 'node:path';
import { compileGlob, type Glob, globMatches } from '#dockerfile/index.ts';
import { GantryError, messageOf } from '#errors/index.ts';

/** Which paths of a build context stay at home. */
export interface ContextIgnore {
  /** Something below an ignored directory may still be wanted. */
  readonly hasExceptions: boolean;
  /** Of a path relative to the context, without a leading slash. */
  ignores(path: string): boolean;
}

/**
 * Reads a .dockerignore (docs.docker.com/build/concepts/context): the last pattern that matches a path or a directory
 * above it decides; `!` takes back. Paths in `always` are never ignored. @throws GantryError invalid, naming the line
 */
export function parseContextIgnore(text: string, always: readonly string[] = []): ContextIgnore {
  const rules = text
    .replace(/^\ufeff/, '')
    .split('\n')
    .flatMap((line, at): readonly { glob: Glob; exception: boolean }[] => {
      if (line.startsWith('#') || line.trim() === '') return [];
      const exception = line.trim().startsWith('!');
      const pattern = exception ? line.trim().slice(1).trim() : line.trim();
      if (pattern === '')
        throw new GantryError('invalid', `.dockerignore line ${at + 1}: illegal exclusion pattern: "!"`);
      const path = posix.normalize(pattern).replace(/^\/+|\/+$/g, '');
      if (path === '' || path === '.') return [];
      try {
        return [{ glob: compileGlob(path, { deep: true }), exception }];
      } catch (error) {
        throw new GantryError('invalid', `.dockerignore line ${at + 1}: ${messageOf(error)}`, { cause: error });
      }
    });
  return {
    hasExceptions: rules.some(({ exception }) => exception) || always.some((path) => path.includes('/')),
    ignores(path) {
      if (always.includes(path)) return false;
      const above = [...path.matchAll(/\//g)].map(({ index }) => path.slice(0, index));
      const last = rules.findLast(({ glob }) => [...above, path].some((part) => globMatches(glob, part)));
      return last !== undefined && !last.exception;
    },
  };
}
