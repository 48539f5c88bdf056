import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GantryError, messageOf, throwIfAborted } from '#errors/index.ts';
import { closeFd, openDirectory } from '#linux/index.ts';
import { isTarHeader } from './add-archive.ts';
import { unpackContext } from './build-context.ts';
import type { BuildRequest, RemoteContext } from './builder.ts';
import { compressionOf, sniff } from './decompress.ts';
import { cloneRepository, isGitSource } from './git-source.ts';

const mostDockerfile = 4 * 1024 * 1024;

/**
 * Takes in a context that is somewhere else: a git repository, a tar, or a lone Dockerfile. Returns the directory that
 * is the context, `path` or one below it.
 * @throws GantryError invalid, not-found, unavailable, corrupt, cancelled
 */
export async function fetchRemote(
  { url }: RemoteContext,
  path: string,
  dockerfile: string,
  options: { readonly secrets: BuildRequest['secrets']; readonly signal: AbortSignal },
): Promise<string> {
  if (isGitSource(url)) return (await cloneRepository(url, path, options)).directory;
  if (!/^https?:\/\//i.test(url))
    throw new GantryError('invalid', `the context "${url}" is neither a git repository nor an http URL`);
  const { signal } = options;
  const response = await fetch(url, { signal }).catch((error: unknown) => {
    throwIfAborted(signal);
    throw new GantryError('unavailable', `the context ${url} cannot be fetched: ${messageOf(error)}`, { cause: error });
  });
  if (!response.ok || response.body === null)
    throw new GantryError('not-found', `the context ${url} answers ${response.status} ${response.statusText}`);
  await mkdir(path, { mode: 0o755 });
  const { start, stream } = await sniff(Readable.fromWeb(response.body), 512);
  if (compressionOf(start) !== 'none' || isTarHeader(start)) {
    const root = openDirectory(path);
    try {
      await unpackContext(stream, root, signal);
    } finally {
      closeFd(root);
    }
    return path;
  }
  let size = 0;
  const bounded = async function* (chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      size += chunk.length;
      if (size > mostDockerfile) throw new GantryError('invalid', `${url} is no tar and too large for a Dockerfile`);
      yield chunk;
    }
  };
  await writeFile(`${path}/.dockerignore`, '');
  await pipeline(stream, bounded, createWriteStream(`${path}/${dockerfile}`), { signal });
  return path;
}
