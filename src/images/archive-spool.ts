import { createHash } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import { posix } from 'node:path';
import { GantryError, throwIfAborted } from '#errors/index.ts';
import { readTar } from '#tar/index.ts';
import { inflate } from './inflate.ts';
import { stagedFile } from './staged-file.ts';

/** A file of an archive, on disk under a name of ours. */
export interface SpooledFile {
  readonly file: string;
  readonly digest: string;
  readonly size: number;
}

/** An image archive, read whole. Its names are keys of a table here and nothing else. */
export interface ArchiveSpool extends AsyncDisposable {
  /** Follows links inside the archive, as old `docker save` wrote for equal layers. */
  find(name: string): SpooledFile | undefined;
  byDigest(digest: string): SpooledFile | undefined;
}

const mostFiles = 20_000;
const mostLinks = 16;

const keyOf = (name: string): string => posix.normalize(`/${name}`).slice(1);

/**
 * Spools an archive (tar, perhaps compressed) into a new directory under `staging`, hashing each file on the way.
 * @throws GantryError corrupt, exhausted, cancelled
 */
export async function spoolArchive(
  source: AsyncIterable<Uint8Array>,
  staging: string,
  signal: AbortSignal | undefined,
): Promise<ArchiveSpool> {
  const directory = stagedFile(staging);
  const files = new Map<string, SpooledFile>();
  const links = new Map<string, string>();
  const digests = new Map<string, SpooledFile>();
  const dispose = () => rm(directory, { recursive: true, force: true });

  await mkdir(directory, { mode: 0o700 });
  try {
    for await (const entry of readTar(inflate(source))) {
      throwIfAborted(signal);
      const key = keyOf(entry.name);
      if (entry.type === 'symlink') links.set(key, keyOf(posix.join(posix.dirname(`/${key}`), entry.linkName)));
      else if (entry.type === 'hardlink') links.set(key, keyOf(entry.linkName));
      if (entry.type !== 'file') continue;
      if (files.size === mostFiles)
        throw new GantryError('exhausted', `the archive has more than ${mostFiles} files; it is no image archive`);
      const spooled = await spool(entry.body, `${directory}/${files.size}`, signal);
      files.set(key, spooled);
      digests.set(spooled.digest, spooled);
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    find(name) {
      let key = keyOf(name);
      for (let hops = 0; hops < mostLinks; hops++) {
        const file = files.get(key);
        if (file !== undefined) return file;
        const target = links.get(key);
        if (target === undefined) return undefined;
        key = target;
      }
      return undefined;
    },
    byDigest: (digest) => digests.get(digest),
    [Symbol.asyncDispose]: dispose,
  };
}

async function spool(
  body: AsyncIterable<Uint8Array>,
  file: string,
  signal: AbortSignal | undefined,
): Promise<SpooledFile> {
  const hash = createHash('sha256');
  let size = 0;
  await using handle = await open(file, 'wx', 0o600);
  for await (const chunk of body) {
    throwIfAborted(signal);
    hash.update(chunk);
    size += chunk.length;
    await handle.appendFile(chunk);
  }
  return { file, digest: `sha256:${hash.digest('hex')}`, size };
}
