import { posix } from 'node:path';
import { compileGlob, frameError, type Glob, globMatches, type Source } from '#dockerfile/index.ts';
import { isGantryError } from '#errors/index.ts';

/** The rules of a .dockerignore. The last rule that matches a path or a directory above it decides. */
export interface Ignore {
  readonly empty: boolean;
  /** Whether something below an ignored directory may still be wanted. */
  readonly hasExceptions: boolean;
  /** Whether the path (relative, without a leading slash) is ignored. */
  ignores(path: string): boolean;
}

interface Rule {
  readonly glob: Glob;
  readonly exception: boolean;
}

/** Parses a .dockerignore (docs.docker.com/build/concepts/context). @throws GantryError invalid, as a code frame */
export function parseIgnore(source: Source): Ignore {
  const rules: Rule[] = [];
  source.lines.forEach((line, index) => {
    if (line.startsWith('#')) return;
    let pattern = line.trim();
    if (pattern === '') return;
    const exception = pattern.startsWith('!');
    if (exception) pattern = pattern.slice(1).trim();
    const span = {
      source,
      start: { line: index + 1, column: 1 },
      end: { line: index + 1, column: line.length + 1 },
    };
    if (pattern === '') throw frameError(span, 'illegal exclusion pattern: "!"');
    pattern = posix.normalize(pattern).replace(/^\/+/, '').replace(/\/+$/, '');
    if (pattern === '' || pattern === '.') return;
    try {
      rules.push({ glob: compileGlob(pattern, { deep: true }), exception });
    } catch (error) {
      throw isGantryError(error, 'invalid') ? frameError(span, error.message) : error;
    }
  });
  return {
    empty: rules.length === 0,
    hasExceptions: rules.some((rule) => rule.exception),
    ignores(path) {
      const above: string[] = [];
      for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) above.push(path.slice(0, at));
      above.push(path);
      const last = rules.findLast(({ glob }) => above.some((part) => globMatches(glob, part)));
      return last !== undefined && !last.exception;
    },
  };
}

export const nothingIgnored: Ignore = { empty: true, hasExceptions: false, ignores: () => false };
