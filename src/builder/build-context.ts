import { mkdir } from 'node:fs/promises';
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { GantryError, messageOf, throwIfAborted } from '#errors/index.ts';
import { closeFd, openDirectory } from '#linux/index.ts';
import { extractTar } from '#snapshots/index.ts';
import { applyContextList, type KeptEntry } from './apply-context-list.ts';
import type { BuildRequest } from './builder.ts';
import { type ContextTree, contextTree } from './context-trees.ts';
import { compressionOf, decompressed, sniff } from './decompress.ts';
import { type Ignore, nothingIgnored, parseIgnore } from './ignore.ts';
import { fetchRemote } from './remote-context.ts';
import type { SourceTree } from './source-tree.ts';
import { readTextInRoot } from './tree-paths.ts';

/** The files a build may read: unpacked into a directory of its own, and reached only through its fd. */
export interface BuildContext extends Disposable, ContextTree {
  readonly dockerfile: { readonly name: string; readonly text: string };
}

/**
 * Takes a context in. Whatever names and links its tar holds, nothing is written outside `directory`, and nothing
 * outside it is read.
 * @throws GantryError invalid (no Dockerfile, a bad ignore file), corrupt, cancelled, exhausted
 */
export async function receiveContext(
  source: BuildRequest['context'],
  path: string,
  dockerfile: string,
  options: {
    readonly secrets: BuildRequest['secrets'];
    readonly signal: AbortSignal;
    /** Times of files in layers are to be set: those of a context that is kept must stay. */
    readonly clampsTimes: boolean;
  },
): Promise<BuildContext> {
  const { signal } = options;
  const listed = !(source instanceof Readable) && 'offer' in source ? source.offer.begin() : undefined;
  const directory =
    listed?.directory ??
    (source instanceof Readable || !('url' in source) ? path : await fetchRemote(source, path, dockerfile, options));
  // Others may look into it where a step mounts it; on this host nobody gets past the directory above.
  if (source instanceof Readable) await mkdir(directory, { mode: 0o755 });
  const root = openDirectory(directory);
  try {
    if (source instanceof Readable) await unpackContext(source, root, signal);
    const digests = await (async () => {
      if (source instanceof Readable || listed === undefined || !('offer' in source)) return undefined;
      const entries = await applyContextList(root, listed.entries, source.offer.list, source.body, signal);
      source.offer.keep(entries);
      return knownDigests(entries);
    })();
    const name = posix.normalize(dockerfile).replace(/^\/+/, '');
    if (name === '..' || name.startsWith('../'))
      throw new GantryError('invalid', `the Dockerfile "${dockerfile}" must be within the build context`);
    const text = await readTextInRoot(root, name);
    if (text === undefined)
      throw new GantryError('invalid', `Cannot locate specified Dockerfile: ${dockerfile}`, {
        code: 'dockerfile-missing',
      });
    const ignore = await readIgnore(root, [`${name}.dockerignore`, '.dockerignore']);
    return {
      ...contextTree(root, directory, ignore, 'build context', {
        ...(digests === undefined ? {} : { digests, linkable: !options.clampsTimes }),
      }),
      dockerfile: { name, text },
      [Symbol.dispose]: () => closeFd(root),
    };
  } catch (error) {
    closeFd(root);
    throw error;
  }
}

/** What is known of files that nobody changes while they are kept, by who they are. */
function knownDigests(entries: ReadonlyMap<string, KeptEntry>): NonNullable<SourceTree['digests']> {
  const byIdentity = new Map(
    [...entries.values()].flatMap((entry) => (entry.identity === undefined ? [] : [[entry.identity, entry]])),
  );
  return {
    find: (identity) => byIdentity.get(identity)?.digest,
    note(identity, digest) {
      const entry = byIdentity.get(identity);
      if (entry !== undefined) entry.digest = digest;
    },
  };
}

/** Unpacks a tar, compressed or not, below an open directory. @throws GantryError invalid, corrupt, cancelled */
export async function unpackContext(source: Readable, root: number, signal: AbortSignal): Promise<void> {
  const stop = () => source.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    const { start, stream } = await sniff(source, 6);
    if (start.length === 0) throw new GantryError('invalid', 'the build context is empty');
    await extractTar(decompressed(stream, compressionOf(start)), root, { whiteouts: 'literal', signal });
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof GantryError) throw error;
    throw new GantryError('corrupt', `the build context cannot be read: ${messageOf(error)}`, { cause: error });
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

async function readIgnore(root: number, paths: readonly string[]): Promise<Ignore> {
  for (const path of paths) {
    const text = await readTextInRoot(root, path);
    if (text !== undefined) return parseIgnore({ name: path, lines: text.replace(/^\ufeff/, '').split(/\r?\n/) });
  }
  return nothingIgnored;
}
