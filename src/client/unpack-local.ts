import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { GantryError } from '#errors/index.ts';
import { encodeName, readTar, type TarHeader, type TarTime } from '#tar/index.ts';

export interface UnpackLocalOptions {
  /**
   * Where an entry goes, as a path below the directory; '' is the directory itself, which keeps its mode and time. It must
   * refuse what was not asked for.
   */
  readonly place: (name: string) => string;
  /** Owners and set-id bits as in the archive; otherwise all is the caller's own, without those bits. */
  readonly keepOwners: boolean;
  /** Told of what is left out because it is nothing to be made here. */
  readonly onSkipped: (path: string, what: string) => void;
}

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;

/**
 * Unpacks an archive that somebody else made below a local directory. Every name is reached from the directory's fd, one
 * component at a time and never through a link, so that no link in the archive, nor one that was there, leads elsewhere
 * (CVE-2026-17106 and its like). A directory is not replaced by what is none, nor the reverse.
 * @throws GantryError invalid (a name that leads out or through a link, another kind), corrupt
 */
export async function unpackLocal(
  tar: AsyncIterable<Uint8Array>,
  directory: string,
  options: UnpackLocalOptions,
): Promise<void> {
  const root = openSync(directory, O_RDONLY | O_DIRECTORY);
  const directories: { readonly parts: readonly string[]; readonly header: TarHeader }[] = [];
  try {
    for await (const entry of readTar(tar)) {
      const parts = partsOf(options.place(entry.name));
      const name = parts.at(-1);
      if (name === undefined) continue;
      const parent = openBelow(root, parts.slice(0, -1));
      try {
        const path = childOf(parent, name);
        refuseOtherKind(path, entry);
        if (entry.type === 'directory') {
          makeDirectory(path);
          directories.push({ parts, header: entry });
        } else if (entry.type === 'file') await writeFile(path, entry, entry.body, options);
        else if (entry.type === 'symlink') {
          unlinkIfThere(path);
          symlinkSync(encodeName(entry.linkName), path);
          if (options.keepOwners) lchownSync(path, entry.uid, entry.gid);
          lutimesSync(path, secondsOf(entry.mtime), secondsOf(entry.mtime));
        } else if (entry.type === 'hardlink') makeHardLink(root, path, partsOf(options.place(entry.linkName)));
        else options.onSkipped(entry.name, `a ${entry.type}`);
      } finally {
        closeSync(parent);
      }
    }
    // Last and innermost first: until then they can be written to, and their times stay.
    for (const { parts, header } of directories.toReversed()) describeDirectory(root, parts, header, options);
  } finally {
    closeSync(root);
  }
}

/** @throws GantryError invalid for what leads out */
function partsOf(path: string): readonly string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new GantryError('invalid', `the archive has "${path}", which leads out of its place`);
  return parts;
}

const childOf = (parent: number, name: string): Buffer =>
  Buffer.concat([Buffer.from(`/proc/self/fd/${parent}/`), encodeName(name)]);

/** A directory below the root, made where missing; an fd of it. */
function openBelow(root: number, parts: readonly string[]): number {
  let current = openSync(`/proc/self/fd/${root}`, O_RDONLY | O_DIRECTORY);
  for (const part of parts) {
    const path = childOf(current, part);
    try {
      const next = openDirectory(path);
      closeSync(current);
      current = next;
    } catch (error) {
      closeSync(current);
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ELOOP' || code === 'ENOTDIR')
        throw new GantryError('invalid', `"${parts.join('/')}" leads through "${part}", which is no directory`);
      throw error;
    }
  }
  return current;
}

function openDirectory(path: Buffer): number {
  try {
    return openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    mkdirSync(path);
    return openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }
}

function refuseOtherKind(path: Buffer, { name, type }: TarHeader): void {
  const existing = lstatSync(path, { throwIfNoEntry: false });
  if (existing?.isCharacterDevice() || existing?.isBlockDevice())
    throw new GantryError('invalid', `cannot overwrite "${name}": it is a device of this host`);
  if (existing === undefined || existing.isDirectory() === (type === 'directory')) return;
  const [old, other] = type === 'directory' ? ['non-directory', 'directory'] : ['directory', 'non-directory'];
  throw new GantryError('invalid', `cannot overwrite ${old} "${name}" with ${other}`);
}

function makeDirectory(path: Buffer): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) mkdirSync(path, 0o700);
}

function unlinkIfThere(path: Buffer): void {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) unlinkSync(path);
}

async function writeFile(
  path: Buffer,
  header: TarHeader,
  body: AsyncIterable<Uint8Array>,
  options: UnpackLocalOptions,
): Promise<void> {
  unlinkIfThere(path);
  const fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    for await (const chunk of body) for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
    describe(fd, header, options);
  } finally {
    closeSync(fd);
  }
}

function makeHardLink(root: number, path: Buffer, target: readonly string[]): void {
  const name = target.at(-1);
  if (name === undefined) throw new GantryError('corrupt', 'the archive has a hard link to nothing');
  const parent = openBelow(root, target.slice(0, -1));
  try {
    unlinkIfThere(path);
    linkSync(childOf(parent, name), path);
  } finally {
    closeSync(parent);
  }
}

/** Owner before mode, since a change of owner takes set-id bits away. */
function describe(fd: number, { uid, gid, mode, mtime }: TarHeader, { keepOwners }: UnpackLocalOptions): void {
  if (keepOwners) fchownSync(fd, uid, gid);
  fchmodSync(fd, keepOwners ? mode : mode & 0o1777);
  futimesSync(fd, secondsOf(mtime), secondsOf(mtime));
}

function describeDirectory(
  root: number,
  parts: readonly string[],
  header: TarHeader,
  options: UnpackLocalOptions,
): void {
  const fd = openBelow(root, parts);
  try {
    describe(fd, header, options);
  } finally {
    closeSync(fd);
  }
}

const secondsOf = ({ seconds, nanoseconds }: TarTime): number => seconds + nanoseconds / 1e9;
