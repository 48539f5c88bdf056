import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { GantryError, isGantryError, messageOf } from '#errors/index.ts';
import { closeFd, openDirectory } from '#linux/index.ts';
import { extractTar } from '#snapshots/index.ts';
import { compressionOf, decompressed, sniff } from './decompress.ts';
import { nothingIgnored } from './ignore.ts';
import type { SourceTree, TreeEntry } from './source-tree.ts';

const block = 512;

/** Whether bytes begin a tar archive: the header's checksum is right (pax, ustar and older). */
export function isTarHeader(header: Uint8Array): boolean {
  if (header.length < block) return false;
  const text = Buffer.from(header.subarray(148, 156))
    .toString('latin1')
    .replace(/[\0 ]+$/, '')
    .trim();
  if (!/^[0-7]+$/.test(text)) return false;
  let sum = 0;
  for (let i = 0; i < block; i++) sum += i >= 148 && i < 156 ? 0x20 : (header[i] ?? 0);
  return sum === Number.parseInt(text, 8);
}

const openFile = (entry: TreeEntry) => createReadStream('', { fd: entry.open(), autoClose: true });

/**
 * Whether ADD unpacks a file: a tar by its content, also inside gzip, zstd, bzip2 or xz.
 * @throws GantryError unsupported where this host cannot look into it
 */
export async function isArchive(entry: TreeEntry): Promise<boolean> {
  if (entry.status.type !== 'file') return false;
  const source = openFile(entry);
  try {
    return await holdsTar(source, entry);
  } finally {
    source.destroy();
  }
}

async function holdsTar(source: Readable, entry: TreeEntry): Promise<boolean> {
  const { start, stream } = await sniff(source, block);
  const compression = compressionOf(start);
  if (compression === 'none') return isTarHeader(start);
  const header: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of decompressed(stream, compression)) {
      header.push(chunk);
      length += chunk.length;
      if (length >= block) break;
    }
  } catch (error) {
    if (isGantryError(error, 'unsupported'))
      throw new GantryError('unsupported', `ADD failed: ${String(entry.name)}: ${error.message}; or COPY it as it is`);
    // Not what its first bytes say: an ordinary file.
    return false;
  }
  return isTarHeader(Buffer.concat(header));
}

/** Unpacks an archive below `scratch` and shows it as a tree to copy from. @throws GantryError invalid, corrupt */
export async function withUnpacked<T>(
  entry: TreeEntry,
  scratch: string,
  signal: AbortSignal,
  work: (tree: SourceTree) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(`${scratch}/archive-`);
  try {
    const root = openDirectory(directory);
    try {
      const source = openFile(entry);
      try {
        const { start, stream } = await sniff(source, block);
        await extractTar(decompressed(stream, compressionOf(start)), root, { whiteouts: 'literal', signal });
      } catch (error) {
        if (error instanceof GantryError) throw error;
        throw new GantryError('corrupt', `ADD failed: ${String(entry.name)}: ${messageOf(error)}`, { cause: error });
      } finally {
        source.destroy();
      }
      return await work({ root, ignore: nothingIgnored, keepsOwners: true, called: `archive ${String(entry.name)}` });
    } finally {
      closeFd(root);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
