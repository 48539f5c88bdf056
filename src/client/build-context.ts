import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { basename, dirname, relative, resolve } from 'node:path';
import { GantryError, messageOf } from '#errors/index.ts';
import { decodeName, packEntries, type TarSource } from '#tar/index.ts';
import { type ContextIgnore, parseContextIgnore } from './context-ignore.ts';
import { type ContextListing, listContext } from './list-context.ts';
import { fileEntry, timeOf } from './local-file.ts';

export interface BuildContextOptions {
  /** As given with -f: relative to the working directory; undefined: `Dockerfile` in the context. */
  readonly dockerfile?: string | undefined;
  /** The Dockerfile itself, where it came from stdin. */
  readonly dockerfileText?: Uint8Array | undefined;
  /** Told of what is left out because no image can hold it. */
  readonly onSkipped: (path: string, what: string) => void;
}

export interface PackedContext {
  readonly tar: AsyncIterable<Uint8Array>;
  /** The Dockerfile's path inside the context, to be named to the engine. */
  readonly dockerfile: string;
  /** The same as a list, where it is large enough that an engine may want only what changed. */
  readonly list?: () => ContextListing | undefined;
}

/**
 * Packs a directory as the tar stream that POST /build takes: what its .dockerignore leaves, links as links, everything
 * owned by root. A Dockerfile from elsewhere travels under a name of its own that the sent .dockerignore hides.
 * @throws GantryError invalid or not-found for a context or Dockerfile that is not there, while packing for a file that
 *   cannot be read or grows shorter while it is
 */
export async function packBuildContext(directory: string, options: BuildContextOptions): Promise<PackedContext> {
  const root = await directoryOf(directory);
  const dockerfile = await locateDockerfile(root, options);
  const ignoreText =
    (await textOrNothing(`${root}/${dockerfile.path}.dockerignore`)) ?? (await textOrNothing(`${root}/.dockerignore`));
  const ignore = parseContextIgnore(ignoreText ?? '', [
    dockerfile.path,
    `${dockerfile.path}.dockerignore`,
    '.dockerignore',
  ]);
  const extra: TarSource[] = [];
  const replaced = new Set<string>();
  if (dockerfile.content !== undefined) {
    const hidden = [...(ignoreText === undefined ? ['.dockerignore'] : []), dockerfile.path];
    extra.push(
      { header: { name: dockerfile.path, type: 'file', mode: 0o600 }, body: dockerfile.content },
      {
        header: { name: '.dockerignore', type: 'file' },
        body: Buffer.from(`${ignoreText ?? ''}\n${hidden.join('\n')}\n`),
      },
    );
    replaced.add('.dockerignore');
  }
  const entries = async function* (): AsyncGenerator<TarSource, void, void> {
    yield* walk(root, ignore, replaced, options.onSkipped);
    yield* extra;
  };
  return {
    tar: packEntries(entries()),
    dockerfile: dockerfile.path,
    ...(extra.length > 0 ? {} : { list: () => listContext(root, ignore, options.onSkipped) }),
  };
}

/** Packs a directory that is a named context: all of it but what its .dockerignore leaves out. @throws GantryError */
export async function packDirectory(
  directory: string,
  onSkipped: BuildContextOptions['onSkipped'],
): Promise<AsyncIterable<Uint8Array>> {
  const root = await directoryOf(directory);
  const ignore = parseContextIgnore((await textOrNothing(`${root}/.dockerignore`)) ?? '');
  return packEntries(walk(root, ignore, new Set(), onSkipped));
}

/** Packs all of a directory. @throws GantryError not-found, invalid */
export async function* packTree(directory: string): AsyncGenerator<Uint8Array, void, void> {
  yield* packEntries(walk(await directoryOf(directory), parseContextIgnore(''), new Set(), () => undefined));
}

/** A context of nothing but a Dockerfile: `build - < Dockerfile`. */
export const packDockerfile = (text: Uint8Array): PackedContext => ({
  tar: packEntries([{ header: { name: 'Dockerfile', type: 'file' }, body: text }]),
  dockerfile: 'Dockerfile',
});

async function directoryOf(path: string): Promise<string> {
  const root = await realpath(path).catch(() => {
    throw new GantryError('not-found', `unable to prepare context: path "${path}" not found`);
  });
  if (!(await lstat(root)).isDirectory())
    throw new GantryError('invalid', `unable to prepare context: "${path}" is not a directory`);
  return root;
}

async function locateDockerfile(
  root: string,
  { dockerfile, dockerfileText }: BuildContextOptions,
): Promise<{ path: string; content?: Uint8Array }> {
  const outside = (content: Uint8Array) => ({
    // By its content, so that the same build has the same context.
    path: `.dockerfile.${createHash('sha256').update(content).digest('hex').slice(0, 20)}`,
    content,
  });
  if (dockerfileText !== undefined) return outside(dockerfileText);
  if (dockerfile === undefined) {
    for (const name of ['Dockerfile', 'dockerfile'])
      if (await lstat(`${root}/${name}`).catch(() => undefined)) return { path: name };
    throw new GantryError(
      'not-found',
      `unable to prepare context: there is no Dockerfile in ${root}; write one or name it with -f`,
    );
  }
  const given = resolve(dockerfile);
  const path = await realpath(dirname(given)).then(
    (folder) => `${folder}/${basename(given)}`,
    () => given,
  );
  const inside = relative(root, path);
  try {
    if (inside.startsWith('..')) return outside(await readFile(path));
    await lstat(path);
    return { path: inside };
  } catch (error) {
    throw new GantryError('not-found', `unable to prepare context: the Dockerfile cannot be read: ${messageOf(error)}`);
  }
}

async function textOrNothing(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new GantryError('invalid', `error checking context: ${messageOf(error)}`, { cause: error });
  }
}

/** Entries below `root`, by name, parents first. Paths are bytes, since names need not be UTF-8. */
async function* walk(
  root: string,
  ignore: ContextIgnore,
  replaced: ReadonlySet<string>,
  onSkipped: BuildContextOptions['onSkipped'],
): AsyncGenerator<TarSource, void, void> {
  // An ignored directory is sent only once something below it turns out to be wanted.
  const visit = async function* (
    folder: Buffer,
    prefix: string,
    owed: readonly TarSource[],
  ): AsyncGenerator<TarSource, boolean, void> {
    let sent = false;
    const names = (await readdir(folder, { encoding: 'buffer' })).toSorted(Buffer.compare);
    for (const name of names) {
      const full = Buffer.concat([folder, slash, name]);
      const path = prefix + decodeName(name);
      if (replaced.has(path)) continue;
      const ignored = ignore.ignores(path);
      const stat = await lstat(full);
      if (ignored && !(stat.isDirectory() && ignore.hasExceptions)) continue;
      const common = { name: path, mode: stat.mode & 0o7777, mtime: timeOf(stat.mtimeMs) };
      if (stat.isDirectory()) {
        const own: TarSource = { header: { ...common, name: `${path}/`, type: 'directory' } };
        if (!ignored) {
          if (!sent) yield* owed;
          sent = true;
          yield own;
        }
        const stillOwed = ignored ? [...(sent ? [] : owed), own] : [];
        if (yield* visit(full, `${path}/`, stillOwed)) sent = true;
        continue;
      }
      const source = stat.isSymbolicLink()
        ? {
            header: {
              ...common,
              type: 'symlink' as const,
              linkName: decodeName(await readlink(full, { encoding: 'buffer' })),
            },
          }
        : stat.isFile()
          ? undefined
          : null;
      if (source === null) {
        onSkipped(path, stat.isSocket() ? 'a socket' : stat.isFIFO() ? 'a named pipe' : 'a device');
        continue;
      }
      if (!sent) yield* owed;
      sent = true;
      if (source === undefined) yield* fileEntry(full, path, common);
      else yield source;
    }
    return sent;
  };
  yield* visit(Buffer.from(root), '', []);
}

const slash = Buffer.from('/');
