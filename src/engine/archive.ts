import { readlinkSync } from 'node:fs';
import { posix } from 'node:path';
import type { Readable } from 'node:stream';
import { GantryError, isGantryError } from '#errors/index.ts';
import { inflate } from '#images/index.ts';
import {
  closeFd,
  type FileStatus,
  fileSystemOf,
  findStatusAt,
  openInRoot,
  readLinkAt,
  showName,
  statusOf,
} from '#linux/index.ts';
import { extractTar, packTreeWith } from '#snapshots/index.ts';
import { type ContainerView, openContainerView } from './container-view.ts';
import type { Context } from './context.ts';
import type { ArchiveOptions, Container, PathStatus } from './engine.ts';
import { readFilesBelow } from './rootfs.ts';
import { type ResolvedUser, resolveUser } from './spec/resolve-user.ts';

/** A path as asked for: absolute and without `..`; whether it ends as `/` or `/.`, which asks for what a link leads to. */
interface AskedPath {
  readonly path: string;
  readonly name: string;
  readonly ending: '' | '/' | '/.';
}

function askedPath(text: string): AskedPath {
  const path = posix.normalize(`/${text}`).replace(/(?<=.)\/$/, '');
  const ending = path === '/' ? '/' : text.endsWith('/.') || text === '.' ? '/.' : text.endsWith('/') ? '/' : '';
  return { path, name: path === '/' ? '/' : posix.basename(path), ending };
}

/** The status of what a path names, a link itself where it names one. @throws GantryError not-found */
export async function statPath(context: Context, nameOrId: string, path: string): Promise<PathStatus> {
  using view = await openContainerView(context, nameOrId);
  return statusIn(view, path);
}

/**
 * A tar of what a path names, with its last component as the name in it (`.` where the path ends so). The stream holds the
 * view: destroy it where it is not read to its end. @throws GantryError not-found, invalid
 */
export async function readArchive(
  context: Context,
  nameOrId: string,
  path: string,
): Promise<{ readonly status: PathStatus; readonly tar: Readable }> {
  const view = await openContainerView(context, nameOrId);
  try {
    const status = statusIn(view, path);
    context.tell(view.container, 'archive-path', { path });
    const { path: clean, name, ending } = askedPath(path);
    const directory = status.type === 'directory';
    const fd = open(view, directory ? clean : posix.dirname(clean), path);
    const done = (): void => {
      closeFd(fd);
      view[Symbol.dispose]();
    };
    if (!directory)
      return { status, tar: packTreeWith(fd, { decide: (at) => (at === name ? 'keep' : 'skip') }, {}, done) };
    const prefix = ending === '/.' ? './' : clean === '/' ? '/' : `${name}/`;
    return { status, tar: packTreeWith(fd, {}, { root: true, prefix }, done) };
  } catch (error) {
    view[Symbol.dispose]();
    throw error;
  }
}

/**
 * Unpacks a tar (plain, gzip or zstd; inflated here, never by a program) into a directory of the container. Links on the way
 * are resolved inside the container. A directory is not replaced by what is none, nor the reverse.
 * @throws GantryError not-found, invalid (no directory, marked read-only, another kind), corrupt, exhausted, unsupported
 */
export async function writeArchive(
  context: Context,
  nameOrId: string,
  path: string,
  tar: AsyncIterable<Uint8Array>,
  options: ArchiveOptions = {},
): Promise<void> {
  using view = await openContainerView(context, nameOrId);
  const { root, container } = view;
  const fd = openExtractionPoint(view, path);
  let directory: string;
  try {
    directory = pathOf(fd);
    if (fileSystemOf(fd).readOnly) throw readOnly(container, directory);
  } finally {
    closeFd(fd);
  }
  const owner = options.ownByUser ? await userOf(view) : undefined;
  try {
    await extractTar(inflate(tar), root, {
      whiteouts: 'literal',
      directory,
      keepKinds: options.replaceKinds !== true,
      ...(owner === undefined ? {} : { owner }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    context.tell(container, 'extract-to-dir', { path: directory });
  } catch (error) {
    if (isGantryError(error) && /\bEROFS\b/.test(error.message)) throw readOnly(container, directory, error);
    throw error;
  }
}

function statusIn(view: ContainerView, text: string): PathStatus {
  const { path, name, ending } = askedPath(text);
  const parent = open(view, posix.dirname(path), text);
  try {
    const own = ending === '' ? findStatusAt(parent, name) : statusOfTarget(view, path, text);
    if (own === undefined) throw missing(view, text);
    return {
      name: ending === '/.' ? '.' : name,
      type: own.type,
      mode: own.mode,
      size: own.size,
      mtime: own.mtime,
      linkTarget: own.type === 'symlink' ? targetOf(view, parent, name, path) : '',
    };
  } finally {
    closeFd(parent);
  }
}

function statusOfTarget(view: ContainerView, path: string, text: string): FileStatus {
  const fd = open(view, path, text, 'handle');
  try {
    return statusOf(fd);
  } finally {
    closeFd(fd);
  }
}

/** Where a link leads in the end; where it leads nowhere, as far as it says itself. */
function targetOf({ root }: ContainerView, parent: number, name: string, path: string): string {
  try {
    const fd = openInRoot(root, path, 'handle');
    try {
      return pathOf(fd);
    } finally {
      closeFd(fd);
    }
  } catch (error) {
    if (!isGantryError(error, 'not-found') && !isGantryError(error, 'invalid')) throw error;
    return posix.resolve(pathOf(parent), showName(readLinkAt(parent, name)));
  }
}

/** A path of the view, as the kernel knows it: without links. */
const pathOf = (fd: number): string => readlinkSync(`/proc/self/fd/${fd}`);

/** What a path of the view leads to, links resolved inside it. @throws GantryError not-found */
function open(view: ContainerView, path: string, text: string, kind: 'directory' | 'handle' = 'directory'): number {
  try {
    return openInRoot(view.root, path, kind);
  } catch (error) {
    if (isGantryError(error, 'not-found') || (isGantryError(error) && error.code === 'ENOTDIR'))
      throw missing(view, text, error);
    throw error;
  }
}

/** A handle on a directory. @throws GantryError not-found, invalid */
function openExtractionPoint(view: ContainerView, text: string): number {
  const fd = open(view, askedPath(text).path, text, 'handle');
  if (statusOf(fd).type === 'directory') return fd;
  closeFd(fd);
  throw new GantryError('invalid', `extraction point is not a directory: ${text}`);
}

/** The container's own user; undefined where it is nobody in particular: then the archive says who owns what. */
async function userOf({ root, container }: ContainerView): Promise<ResolvedUser | undefined> {
  const { user } = container.resolved;
  if (user === '') return undefined;
  const [passwd = '', group = ''] = readFilesBelow(root, ['/etc/passwd', '/etc/group']);
  return resolveUser(user, passwd, group);
}

const missing = ({ container }: ContainerView, path: string, cause?: unknown): GantryError =>
  new GantryError('not-found', `Could not find the file ${path} in container ${container.name}`, { cause });

function readOnly({ mounts }: Container, directory: string, cause?: unknown): GantryError {
  const inVolume = mounts.some(({ target }) => directory === target || directory.startsWith(`${target}/`));
  const what = inVolume ? 'mounted volume' : 'container rootfs';
  return new GantryError('invalid', `${what} is marked read-only`, { code: 'read-only', cause });
}
