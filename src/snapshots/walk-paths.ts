import { type WalkStep, walkTree } from '#linux/index.ts';
import { joinPath } from './entry-path.ts';
import { compareNames, fromFileName } from './file-name.ts';

/** A step of a walk with the path of its entry below the root. */
export interface PathStep extends WalkStep {
  readonly path: string;
}

/** Walks a tree in the order of the names' bytes, with paths. `next(false)` does not go into a directory. */
export function* walkPaths(rootFd: number): Generator<PathStep, void, boolean | undefined> {
  const walk = walkTree(rootFd, { compare: compareNames });
  const directories: string[] = [''];
  try {
    let into: boolean | undefined;
    for (let next = walk.next(); !next.done; next = walk.next(into)) {
      const step = next.value;
      directories.length = step.depth;
      const path = joinPath(directories[step.depth - 1] ?? '', fromFileName(step.name));
      into = yield { ...step, path };
      if (step.kind === 'entry' && step.directory && into !== false) directories.push(path);
    }
  } finally {
    walk.return();
  }
}
