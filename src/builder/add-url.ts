import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { frameError, type Word } from '#dockerfile/index.ts';
import { GantryError, messageOf, throwIfAborted } from '#errors/index.ts';

/** A file fetched for ADD. */
export interface Download {
  readonly path: string;
  readonly digest: string;
  readonly mtime: { readonly seconds: number; readonly nanoseconds: number };
}

export const isUrl = (text: string): boolean => /^https?:\/\//i.test(text);

/** The name a URL gives its file. @throws GantryError invalid where it gives none */
export function nameOfUrl(url: string, word: Word): string {
  const { pathname } = parseUrl(url, word);
  const name = posix.basename(decodeURIComponent(pathname));
  if (
    name === '' ||
    name === '.' ||
    name === '..' ||
    name.includes('/') ||
    name.includes('\0') ||
    pathname.endsWith('/')
  )
    throw frameError(word.span, `cannot determine a file name from ${url}; let the destination name the file`);
  return name;
}

function parseUrl(url: string, word: Word): URL {
  try {
    const parsed = new URL(url);
    decodeURIComponent(parsed.pathname);
    return parsed;
  } catch (error) {
    throw frameError(word.span, `${url} is not a URL: ${messageOf(error)}`);
  }
}

/** Fetches a URL to `path`. @throws GantryError invalid (an answer other than 2xx), unavailable, corrupt, cancelled */
export async function download(
  url: string,
  path: string,
  word: Word,
  options: { readonly checksum: string | undefined; readonly signal: AbortSignal },
): Promise<Download> {
  parseUrl(url, word);
  const response = await fetch(url, { signal: options.signal }).catch((error: unknown) => {
    throwIfAborted(options.signal);
    throw new GantryError('unavailable', `ADD failed: ${url}: ${messageOf(error)}`, { cause: error });
  });
  if (!response.ok || response.body === null)
    throw frameError(word.span, `ADD failed: ${url} answers ${response.status} ${response.statusText}`);
  const hash = createHash('sha256');
  const body = Readable.fromWeb(response.body);
  body.on('data', (chunk: Uint8Array) => hash.update(chunk));
  await pipeline(body, createWriteStream(path, { mode: 0o600 }), { signal: options.signal }).catch((error: unknown) => {
    throwIfAborted(options.signal);
    throw new GantryError('unavailable', `ADD failed: ${url}: ${messageOf(error)}`, { cause: error });
  });
  const digest = `sha256:${hash.digest('hex')}`;
  if (options.checksum !== undefined && options.checksum !== digest)
    throw new GantryError('corrupt', `ADD failed: ${url} has digest ${digest}, not ${options.checksum}`, {
      code: 'digest-mismatch',
    });
  const modified = Date.parse(response.headers.get('last-modified') ?? '');
  return {
    path,
    digest,
    mtime: { seconds: Number.isNaN(modified) ? 0 : Math.floor(modified / 1000), nanoseconds: 0 },
  };
}
