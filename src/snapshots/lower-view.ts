import { constants } from 'node:fs';
import { closeFd, type FileStatus, findStatusAt, openBeneath, openDirectory, readDirectory } from '#linux/index.ts';
import { directoryOf, joinPath } from './entry-path.ts';
import { fromFileName, toFileName } from './file-name.ts';
import { isOpaqueAt, isWhiteout } from './whiteouts.ts';

/** What an overlay shows of its lower layers, found without mounting it. Paths are clean and relative to the root. */
export interface LowerView extends Disposable {
  /** The entry that shows at a path, with the fd of the layer that has it. */
  find(path: string): { readonly layerFd: number; readonly status: FileStatus } | undefined;
  /** The names that show in a directory, in no order. */
  names(path: string): readonly string[];
}

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY;

/** Opens the trees of layers, topmost first (kernel: overlayfs.rst). They do not change meanwhile: layers are read-only. */
export function openLowerView(directories: readonly string[]): LowerView {
  const fds: number[] = [];
  const close = (): void => {
    for (const fd of fds.splice(0)) closeFd(fd);
  };
  try {
    for (const directory of directories) fds.push(openDirectory(directory));
  } catch (error) {
    close();
    throw error;
  }
  const merged = new Map<string, readonly number[]>([['', [...fds]]]);

  /** The layers whose directories are merged at a path. In each, all directories above it are real ones, never links. */
  function layersOf(path: string): readonly number[] {
    const known = merged.get(path);
    if (known !== undefined) return known;
    const layers: number[] = [];
    for (const fd of layersOf(directoryOf(path))) {
      const status = findStatusAt(fd, toFileName(path));
      if (status === undefined) continue;
      if (status.type !== 'directory') break;
      layers.push(fd);
      if (isOpaqueAt(fd, toFileName(path))) break;
    }
    merged.set(path, layers);
    return layers;
  }

  return {
    find(path) {
      for (const layerFd of layersOf(directoryOf(path))) {
        const status = findStatusAt(layerFd, path === '' ? '.' : toFileName(path));
        if (status !== undefined) return isWhiteout(status) ? undefined : { layerFd, status };
      }
      return undefined;
    },
    names(path) {
      const decided = new Map<string, boolean>();
      for (const layerFd of layersOf(path)) {
        const fd = openBeneath(layerFd, path === '' ? '.' : toFileName(path), DIRECTORY);
        try {
          for (const entry of readDirectory(fd)) {
            const name = fromFileName(entry.name);
            if (decided.has(name)) continue;
            const status = findStatusAt(layerFd, toFileName(joinPath(path, name)));
            if (status !== undefined) decided.set(name, !isWhiteout(status));
          }
        } finally {
          closeFd(fd);
        }
      }
      return [...decided].filter(([, shows]) => shows).map(([name]) => name);
    },
    [Symbol.dispose]: close,
  };
}
