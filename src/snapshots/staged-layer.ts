import { closeFd, openDirectory } from '#linux/index.ts';
import { extractTar } from './extract-tar.ts';
import type { Extracted } from './extractor.ts';

/** A layer that is being made in a directory of its own, in its driver's form. */
export interface StagedLayer {
  unpack(
    tar: AsyncIterable<Uint8Array>,
    options: { readonly signal?: AbortSignal },
  ): Promise<{ readonly size: number }>;
  /** Once its parent is committed: what depends on the layers below. Resolves with what the record says of it. */
  complete(): Promise<{ readonly size: number; readonly image?: true }>;
  /** Stops what is under way; the caller removes the directory. */
  abort(): Promise<void>;
}

/** A layer as files below `diff/`; `complete` gets the open tree and what was unpacked into it. */
export function createStagedTree(
  directory: string,
  whiteouts: 'overlay' | 'apply',
  complete: (treeFd: number, unpacked: Extracted) => void,
): StagedLayer {
  let total: Extracted = { size: 0, implied: [], whiteouts: [] };
  const withTree = async <T>(use: (treeFd: number) => Promise<T> | T): Promise<T> => {
    const fd = openDirectory(`${directory}/diff`);
    try {
      return await use(fd);
    } finally {
      closeFd(fd);
    }
  };
  return {
    async unpack(tar, options) {
      const unpacked = await withTree((fd) => extractTar(tar, fd, { whiteouts, ...options }));
      total = {
        size: total.size + unpacked.size,
        implied: [...total.implied, ...unpacked.implied],
        whiteouts: [...total.whiteouts, ...unpacked.whiteouts],
      };
      return { size: unpacked.size };
    },
    async complete() {
      await withTree((fd) => complete(fd, total));
      return { size: total.size };
    },
    abort: async () => undefined,
  };
}
