import { GantryError, isGantryError } from '#errors/index.ts';
import {
  chmodAt,
  chownAt,
  closeFd,
  type FileType,
  findStatusAt,
  linkAt,
  setTimesFd,
  type Timestamp,
  tryOpenBeneath,
  writeAll,
} from '#linux/index.ts';
import { createTarDecoder, type TarEvent, type TarHeader } from '#tar/index.ts';
import { baseOf, cleanEntryPath, directoryOf, joinPath } from './entry-path.ts';
import { toFileName } from './file-name.ts';
import {
  createFile,
  ensureDirectory,
  makeSpecial,
  OPEN_DIRECTORY,
  type Owner,
  replacing,
  setMetadata,
  withDirectory,
} from './make-entry.ts';
import { type MakeDirectory, type OpenDirectory, openDirectoryInRoot } from './parent-walk.ts';
import { takeWhiteout } from './take-whiteout.ts';
import { missingLinkTarget, unpackError } from './unpack-error.ts';
import type { Unpacker } from './unpacker.ts';
import { isWhiteout, isWhiteoutHeader, WHITEOUT_PREFIX } from './whiteouts.ts';

export interface ExtractorOptions {
  /**
   * What `.wh.` entries mean: `overlay` makes them an overlay's whiteouts, `apply` removes what was there before this
   * archive, `literal` takes them like other files.
   */
  readonly whiteouts: 'overlay' | 'apply' | 'literal';
  /** Owns all, whatever the archive says. */
  readonly owner?: Owner;
  /** A directory below the root to unpack into; made where missing, links in it resolved inside the root. */
  readonly directory?: string;
  /**
   * As `docker cp` unpacks: a directory stays a directory, what is none stays none, and the directory unpacked into keeps
   * its own owner, mode and times.
   */
  readonly keepKinds?: boolean;
}

export interface Extracted {
  /** Bytes of file contents. */
  readonly size: number;
  /** Directories that were made because an entry is below them, though the archive has no entry for them. */
  readonly implied: readonly string[];
  /** An overlay's whiteouts that were made; a later entry may have replaced one. */
  readonly whiteouts: readonly string[];
}

/**
 * An extractor into an open directory; `rootFd` stays the caller's. All is made relative to the fd of its own directory,
 * which is reached from the root without leaving it, whatever the names and links of the archive say.
 */
export function createExtractor(rootFd: number, options: ExtractorOptions): Unpacker {
  const decoder = createTarDecoder();
  const overlay = options.whiteouts === 'overlay';
  const prefix = cleanEntryPath(options.directory ?? '');
  const implied = new Set<string>();
  const whiteouts = new Set<string>();
  const directoryTimes = new Map<string, Timestamp>();
  /** Paths of this archive and all above them. */
  const written = options.whiteouts === 'apply' ? new Set<string>() : undefined;
  let size = 0;
  let file: { readonly fd: number; readonly header: TarHeader } | undefined;
  /** The last entry's directory, kept open since archives go through a tree in order, and what it was asked for as. */
  let parent: { readonly requested: string; readonly directory: OpenDirectory } | undefined;
  let about = '';

  const ownerOf = (header: Owner): Owner => options.owner ?? header;

  const makeDirectory: MakeDirectory = (at, name, existing) => {
    if (existing !== undefined && !isWhiteout(existing))
      throw new GantryError('corrupt', `"${joinPath(at.path, name)}" is no directory, and has entries below it`);
    ensureDirectory(at, name, existing, overlay);
    // Whatever the umask is, and the group of a directory that passes it on.
    const { uid, gid } = options.owner ?? { uid: 0, gid: 0 };
    chownAt(at.fd, toFileName(name), uid, gid);
    chmodAt(at.fd, toFileName(name), 0o755);
    implied.add(joinPath(at.path, name));
  };

  function parentOf(path: string): OpenDirectory {
    const requested = directoryOf(path);
    if (parent?.requested === requested) return parent.directory;
    if (parent !== undefined) closeFd(parent.directory.fd);
    parent = undefined;
    const directory = openDirectoryInRoot(rootFd, requested, makeDirectory);
    parent = { requested, directory };
    for (let at = directory.path; written !== undefined && at !== '' && !written.has(at); at = directoryOf(at))
      written.add(at);
    return directory;
  }

  const below = (own: string): string => (own === '' || prefix === '' ? own + prefix : `${prefix}/${own}`);

  function takeEntry(header: TarHeader): void {
    const own = cleanEntryPath(header.name);
    if (options.keepKinds && own === '' && header.type === 'directory') return;
    const path = below(own);
    if (path === '') {
      if (header.type !== 'directory')
        throw new GantryError('invalid', `the root directory cannot be replaced by a ${header.type}`);
      describeDirectory({ fd: rootFd, path: '' }, '.', '', header);
      return;
    }
    const at = parentOf(path);
    const name = baseOf(path);
    if (options.whiteouts !== 'literal' && name.startsWith(WHITEOUT_PREFIX)) {
      const made = takeWhiteout(at, name, written);
      if (made !== undefined) whiteouts.add(made);
      return;
    }
    if (options.keepKinds) refuseOtherKind(findStatusAt(at.fd, toFileName(name))?.type, header);
    written?.add(joinPath(at.path, name));
    switch (header.type) {
      case 'file':
        file = { fd: createFile(at, name), header };
        size += header.size;
        return;
      case 'directory':
        ensureDirectory(at, name, findStatusAt(at.fd, toFileName(name)), overlay);
        describeDirectory(at, name, joinPath(at.path, name), header);
        return;
      case 'hardlink':
        makeHardLink(at, name, header.linkName);
        return;
      default:
        makeSpecial(at, name, header, ownerOf(header));
        // To an overlay it is a whiteout, whatever the archive meant.
        if (overlay && isWhiteoutHeader(header)) whiteouts.add(joinPath(at.path, name));
    }
  }

  function describeDirectory(at: OpenDirectory, name: string, path: string, header: TarHeader): void {
    withDirectory(at, name, (fd) => {
      setMetadata(fd, header, ownerOf(header));
    });
    implied.delete(path);
    directoryTimes.set(path, header.mtime);
  }

  /** Only to names that are there already: a layer of an overlay has no link into the layers below it. */
  function makeHardLink(at: OpenDirectory, name: string, linkName: string): void {
    const target = below(cleanEntryPath(linkName));
    const source = toFileName(baseOf(target));
    const from = openLinkParent(target, linkName);
    try {
      const status = findStatusAt(from.fd, source);
      const replaced = joinPath(at.path, name);
      if (
        target === '' ||
        status === undefined ||
        status.type === 'directory' ||
        `${from.path}/`.startsWith(`${replaced}/`)
      )
        throw missingLinkTarget(linkName);
      if (from.path !== at.path || baseOf(target) !== name)
        replacing(at, name, () => {
          linkAt(from.fd, source, at.fd, toFileName(name));
        });
    } finally {
      closeFd(from.fd);
    }
  }

  function openLinkParent(target: string, linkName: string): OpenDirectory {
    try {
      return openDirectoryInRoot(rootFd, directoryOf(target));
    } catch (error) {
      if (isGantryError(error, 'not-found') || isGantryError(error, 'invalid'))
        throw missingLinkTarget(linkName, error);
      throw error;
    }
  }

  function endFile(): void {
    if (file === undefined) return;
    const { fd, header } = file;
    setMetadata(fd, header, ownerOf(header));
    setTimesFd(fd, header.mtime);
    closeFd(fd);
    file = undefined;
  }

  function take(event: TarEvent): void {
    try {
      if (event.kind === 'data') {
        if (file !== undefined) writeAll(file.fd, event.bytes);
      } else if (event.kind === 'end') endFile();
      else {
        about = event.header.name;
        takeEntry(event.header);
      }
    } catch (error) {
      throw unpackError(error, about);
    }
  }

  function close(): void {
    if (parent !== undefined) closeFd(parent.directory.fd);
    if (file !== undefined) closeFd(file.fd);
    parent = undefined;
    file = undefined;
  }

  if (prefix === '') implied.add('');
  return {
    write(chunk) {
      for (const event of decoder.decode(chunk)) take(event);
    },
    finish() {
      decoder.finish();
      for (const [path, mtime] of directoryTimes) {
        const fd = tryOpenBeneath(rootFd, path === '' ? '.' : toFileName(path), OPEN_DIRECTORY);
        if (fd < 0) continue; // an entry replaced it later
        setTimesFd(fd, mtime);
        closeFd(fd);
      }
      close();
      return { size, implied: [...implied], whiteouts: [...whiteouts] };
    },
    close,
  };
}

function refuseOtherKind(existing: FileType | undefined, { name, type }: TarHeader): void {
  if (existing === undefined || (existing === 'directory') === (type === 'directory')) return;
  const [old, other] = type === 'directory' ? ['non-directory', 'directory'] : ['directory', 'non-directory'];
  throw new GantryError('invalid', `cannot overwrite ${old} "${name}" with ${other}`, { code: 'other-kind' });
}
