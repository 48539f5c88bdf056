import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { chmod, chown, mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import type { CacheSharing } from '#dockerfile/index.ts';
import { throwIfAborted } from '#errors/index.ts';

export interface CacheMountRequest {
  readonly id: string;
  readonly sharing: CacheSharing;
  /** Of the directory, when it is made. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** A directory that a step may use until it is given back. */
export interface HeldCacheMount {
  readonly path: string;
  release(): Promise<void>;
}

/** What is kept, for listing and pruning. `used` is when a step last held it. */
export interface KeptCacheMount {
  readonly directory: string;
  readonly used: Date;
  readonly inUse: boolean;
}

/**
 * Directories of `RUN --mount=type=cache`, which outlive builds and restarts. The one with number 0 is what `shared` and
 * `locked` steps use; a `private` step takes the first that nobody has, or a new one.
 */
export interface CacheMounts {
  /** `fill` puts the first content into a directory that is new. Waits for a `locked` one. @throws GantryError cancelled */
  hold(
    request: CacheMountRequest,
    fill: ((directory: string) => Promise<void>) | undefined,
    signal: AbortSignal | undefined,
  ): Promise<HeldCacheMount>;
  /** Whether there is one of that id, for `shared` and `locked` steps. */
  has(id: string): boolean;
  list(): Promise<readonly KeptCacheMount[]>;
  /** Removes one that nobody holds; false where somebody does. */
  remove(directory: string): Promise<boolean>;
}

interface Use {
  holders: number;
  /** Settles when it can be asked again. */
  changed: PromiseWithResolvers<void>;
  exclusive: boolean;
}

/** Opens the directories below `root`, made if missing. */
export function createCacheMounts(root: string): CacheMounts {
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const uses = new Map<string, Use>();

  const take = (path: string, exclusive: boolean): boolean => {
    const use = uses.get(path);
    if (use === undefined) {
      uses.set(path, { holders: 1, changed: Promise.withResolvers(), exclusive });
      return true;
    }
    if (exclusive || use.exclusive) return false;
    use.holders++;
    return true;
  };
  const give = (path: string) => {
    const use = uses.get(path);
    if (use === undefined || --use.holders > 0) return;
    uses.delete(path);
    use.changed.resolve();
  };

  const choose = async (base: string, sharing: CacheSharing, signal: AbortSignal | undefined): Promise<string> => {
    if (sharing === 'private')
      for (let number = 0; ; number++) if (take(`${base}-${number}`, true)) return `${base}-${number}`;
    const path = `${base}-0`;
    while (!take(path, sharing === 'locked')) {
      const aborted = Promise.withResolvers<void>();
      const stop = () => aborted.resolve();
      signal?.addEventListener('abort', stop, { once: true });
      await Promise.race([uses.get(path)?.changed.promise, aborted.promise]);
      signal?.removeEventListener('abort', stop);
      throwIfAborted(signal);
    }
    return path;
  };

  const make = async (
    path: string,
    { mode, uid, gid }: CacheMountRequest,
    fill: ((directory: string) => Promise<void>) | undefined,
  ): Promise<void> => {
    if (existsSync(path)) return;
    const fresh = `${path}.new`;
    await rm(fresh, { recursive: true, force: true });
    await mkdir(fresh);
    await fill?.(fresh);
    await chmod(fresh, mode);
    await chown(fresh, uid, gid);
    await rename(fresh, path);
  };
  const making = new Map<string, Promise<void>>();

  const nameOf = (id: string) => createHash('sha256').update(id).digest('hex');
  return {
    has: (id) => existsSync(`${root}/${nameOf(id)}-0`),
    async hold(request, fill, signal) {
      const name = nameOf(request.id);
      const path = await choose(`${root}/${name}`, request.sharing, signal);
      try {
        const made = making.get(path) ?? make(path, request, fill).finally(() => making.delete(path));
        making.set(path, made);
        await made;
      } catch (error) {
        give(path);
        throw error;
      }
      return {
        path,
        release: async () => {
          give(path);
          const now = new Date();
          // The directory may be gone, if it was pruned between the two.
          await utimes(path, now, now).catch(() => undefined);
        },
      };
    },
    async list() {
      const names = (await readdir(root)).filter((name) => /^[0-9a-f]{64}-\d+$/.test(name));
      return Promise.all(
        names.map(async (name) => ({
          directory: `${root}/${name}`,
          used: (await stat(`${root}/${name}`)).mtime,
          inUse: uses.has(`${root}/${name}`),
        })),
      );
    },
    async remove(directory) {
      if (!take(directory, true)) return false;
      try {
        await rm(directory, { recursive: true, force: true });
      } finally {
        give(directory);
      }
      return true;
    },
  };
}
