import type { Stats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { decodeName, packEntries, type TarSource } from '#tar/index.ts';
import { fileEntry, timeOf } from './local-file.ts';

export interface PackLocalOptions {
  /** What the file or directory is called in the archive. */
  readonly name: string;
  /** A directory's own entry is left out: only what is in it comes along. */
  readonly contentOnly?: boolean;
  /** Told of what is left out because no archive can hold it. */
  readonly onSkipped: (path: string, what: string) => void;
}

/**
 * A local file or directory as a tar stream, with owners, modes, times and hard links; links stay links.
 * @throws GantryError forbidden for a file that cannot be read, conflict for one that grows shorter meanwhile
 */
export const packLocal = (path: string, options: PackLocalOptions): AsyncIterable<Uint8Array> =>
  packEntries(entriesOf(path, options));

async function* entriesOf(root: string, options: PackLocalOptions): AsyncGenerator<TarSource, void, void> {
  /** First names of inodes that have more than one. */
  const linked = new Map<string, string>();

  async function* visit(full: Buffer, name: string, own: boolean): AsyncGenerator<TarSource, void, void> {
    const stat = await lstat(full);
    const common = commonOf(name, stat);
    if (stat.isDirectory()) {
      if (own) yield { header: { ...common, name: `${name}/`, type: 'directory' } };
      for (const child of (await readdir(full, { encoding: 'buffer' })).toSorted(Buffer.compare))
        yield* visit(Buffer.concat([full, slash, child]), `${name}/${decodeName(child)}`, true);
      return;
    }
    const identity = `${stat.dev}:${stat.ino}`;
    const first = linked.get(identity);
    if (first !== undefined) yield { header: { ...common, type: 'hardlink', linkName: first } };
    else if (stat.isSymbolicLink()) {
      const linkName = decodeName(await readlink(full, { encoding: 'buffer' }));
      yield { header: { ...common, type: 'symlink', linkName } };
    } else if (stat.isFile()) yield* fileEntry(full, name, common);
    else if (stat.isFIFO()) yield { header: { ...common, type: 'fifo' } };
    else options.onSkipped(name, stat.isSocket() ? 'a socket' : 'a device');
    if (stat.nlink > 1 && first === undefined) linked.set(identity, name);
  }

  yield* visit(Buffer.from(root), options.name, !options.contentOnly);
}

const slash = Buffer.from('/');

const commonOf = (name: string, { mode, uid, gid, mtimeMs }: Stats) => ({
  name,
  mode: mode & 0o7777,
  uid,
  gid,
  mtime: timeOf(mtimeMs),
});
