import { mkdir } from 'node:fs/promises';
import { closeFd, openDirectory } from '#linux/index.ts';
import { unpackContext } from './build-context.ts';
import type { BuildRequest } from './builder.ts';
import { copySelection } from './copy-files.ts';
import { type Ignore, nothingIgnored } from './ignore.ts';
import { fetchRemote } from './remote-context.ts';
import type { SourceTree } from './source-tree.ts';

/** Files that a client sent or named, unpacked for this build alone. */
export interface ContextTree {
  readonly tree: SourceTree;
  /** A directory with the same files and without the ignored ones, to be mounted. */
  directory(): Promise<string>;
}

/** A received directory as a tree to copy from and to mount. */
export function contextTree(
  root: number,
  path: string,
  ignore: Ignore,
  called: string,
  more: Pick<SourceTree, 'digests' | 'linkable'> = {},
): ContextTree {
  const tree: SourceTree = { root, ignore, keepsOwners: false, linkable: true, called, ...more };
  let filtered: Promise<string> | undefined;
  const filter = async () => {
    if (ignore.empty) return path;
    const target = `${path}.filtered`;
    await mkdir(target, { mode: 0o755 });
    const fd = openDirectory(target);
    try {
      const destination = { root: fd, path: '/', directory: true };
      await copySelection(tree, [{ path: '', name: '' }], destination, undefined);
    } finally {
      closeFd(fd);
    }
    return target;
  };
  return {
    tree,
    directory() {
      filtered ??= filter();
      return filtered;
    },
  };
}

/** The named contexts of a build, each taken in once, when something asks for it. */
export function createNamedTrees(
  named: NonNullable<BuildRequest['namedContexts']>,
  scratch: string,
  secrets: BuildRequest['secrets'],
  signal: AbortSignal,
) {
  const opened = new Map<string, Promise<ContextTree>>();
  const roots: number[] = [];
  const open = async (name: string): Promise<ContextTree> => {
    const context = named[name];
    const path = `${scratch}/named-${opened.size}`;
    if (context?.from === 'tar') {
      await mkdir(path, { mode: 0o755 });
      const root = openDirectory(path);
      roots.push(root);
      await unpackContext(await context.tar(), root, signal);
      return contextTree(root, path, nothingIgnored, `context ${name}`);
    }
    const url = context?.from === 'remote' ? context.url : '';
    const directory = await fetchRemote({ url }, path, 'Dockerfile', { secrets, signal });
    const root = openDirectory(directory);
    roots.push(root);
    return contextTree(root, directory, nothingIgnored, `context ${name}`);
  };
  return {
    get(name: string): Promise<ContextTree> {
      const tree = opened.get(name) ?? open(name);
      tree.catch(() => undefined);
      opened.set(name, tree);
      return tree;
    },
    [Symbol.dispose]() {
      for (const root of roots) closeFd(root);
    },
  };
}
