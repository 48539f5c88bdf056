import { lstat, readlink, realpath, stat } from 'node:fs/promises';
import { dirname, posix, resolve } from 'node:path';
import { type EngineClient, localArchives } from '#client/index.ts';
import { GantryError, isGantryError } from '#errors/index.ts';
import { defineCommand } from '../command.ts';
import { type Destination, isContentOnly, parseCopyEnd, placeCopy } from '../copy-paths.ts';
import { Failure } from '../failure.ts';
import { flag } from '../options.ts';
import { writeError, writeOut } from '../output.ts';
import { standardInput } from '../standard-input.ts';
import { isTerminal } from '../terminal.ts';
import { humanSize } from '../units.ts';

export const command = defineCommand({
  usage: '[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tgantry cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH',
  summary: 'Copy files/folders between a container and the local filesystem',
  aliases: ['container cp', 'cp'],
  options: {
    archive: flag('Archive mode (copy all uid/gid information)', { short: 'a' }),
    'follow-link': flag('Always follow symlinks in SRC_PATH', { short: 'L' }),
    quiet: flag('Suppress progress output during copy', { short: 'q' }),
  },
  args: [2, 2],
  async run({ engine }, { values, args: [from = '', to = ''] }) {
    if (from === '') throw new Failure('source can not be empty', 1);
    if (to === '') throw new Failure('destination can not be empty', 1);
    const [source, destination] = [parseCopyEnd(from), parseCopyEnd(to)];
    const copy: Copy = {
      engine,
      source: source.path,
      destination: destination.path,
      archive: values.archive,
      followLink: values['follow-link'],
    };
    if (source.container !== undefined && destination.container !== undefined)
      throw new Failure('copying between containers is not supported', 1);
    let bytes: number;
    if (source.container !== undefined) bytes = await copyOut(copy, source.container);
    else if (destination.container !== undefined) bytes = await copyIn(copy, destination.container);
    else throw new Failure('must specify at least one container source', 1);
    if (!values.quiet && to !== '-' && isTerminal(1))
      writeError(`Successfully copied ${humanSize(bytes, 3)} to ${to}\n`);
    return 0;
  },
});

interface Copy {
  readonly engine: EngineClient;
  readonly source: string;
  readonly destination: string;
  readonly archive: boolean;
  readonly followLink: boolean;
}

const goDirectory = 2 ** 31;
const goSymlink = 2 ** 27;

interface PathStat {
  readonly mode: number;
  readonly linkTarget: string;
}

const archivePath = (container: string): string => `/containers/${encodeURIComponent(container)}/archive`;

function decodeStat(headers: ReadonlyMap<string, string>): PathStat {
  const text = headers.get('x-docker-container-path-stat');
  if (text === undefined) throw new GantryError('corrupt', 'the engine does not say what the path in the container is');
  return JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as PathStat;
}

const isSet = (mode: number, bit: number): boolean => Math.floor(mode / bit) % 2 === 1;

/** What is at a path of the container; undefined where nothing is. */
async function statIn(engine: EngineClient, container: string, path: string): Promise<PathStat | undefined> {
  try {
    const { headers, body } = await engine.stream('HEAD', archivePath(container), { query: { path } });
    for await (const _ of body); // none, but it closes the connection
    return decodeStat(headers);
  } catch (error) {
    if (isGantryError(error, 'not-found')) return undefined;
    throw error;
  }
}

const skipped = (path: string, what: string): void => writeError(`gantry cp: ${path} is ${what} and was left out\n`);

/** Counts what passes. */
async function* counted(
  source: AsyncIterable<Uint8Array>,
  count: { bytes: number },
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of source) {
    count.bytes += chunk.length;
    yield chunk;
  }
}

async function copyOut(copy: Copy, container: string): Promise<number> {
  const { engine, destination } = copy;
  const count = { bytes: 0 };
  const path = copy.followLink ? await followIn(engine, container, copy.source) : copy.source;
  const { headers, body } = await engine.stream('GET', archivePath(container), { query: { path } });
  const content = counted(body, count);
  if (destination === '-') {
    if (isTerminal(1)) throw new Failure('refusing to write a tar archive to a terminal; redirect it', 1);
    for await (const chunk of content) writeOut(chunk);
    return count.bytes;
  }
  const directory = isSet(decodeStat(headers).mode, goDirectory);
  const { path: target, kind } = await localDestination(destination);
  // Named after what was asked for, not after what a link led to.
  const place = placeCopy({ path: copy.source, directory }, target, kind);
  if (typeof place === 'string') throw new Failure(place, 1);
  const { unpackLocal } = await localArchives();
  await unpackLocal(content, place.directory, {
    place: (name) => [place.name ?? '', below(name, path)].filter((part) => part !== '').join('/'),
    keepOwners: copy.archive,
    onSkipped: skipped,
  });
  return count.bytes;
}

/** What an entry is called below the path that was asked for. @throws GantryError corrupt for what was not asked for */
function below(name: string, asked: string): string {
  const root = isContentOnly(asked) ? '.' : posix.basename(posix.resolve('/', asked));
  const prefix = root === '' ? '/' : `${root}/`;
  if (name === root || name === prefix) return '';
  if (name.startsWith(prefix)) return name.slice(prefix.length);
  throw new GantryError('corrupt', `the engine sent "${name}", which is not below ${asked}`);
}

async function followIn(engine: EngineClient, container: string, path: string): Promise<string> {
  const found = await statIn(engine, container, path);
  return found === undefined || !isSet(found.mode, goSymlink) ? path : found.linkTarget;
}

async function localDestination(path: string): Promise<{ readonly path: string; readonly kind: Destination }> {
  const absolute = resolve(path) + (/(?:^|\/)\.?$/.test(path) && resolve(path) !== '/' ? '/' : '');
  const found = await stat(absolute).catch(() => undefined);
  if (found?.isDirectory()) return { path: absolute, kind: 'directory' };
  if (found !== undefined) return { path: await realpath(absolute), kind: 'other' };
  const link = await readlink(absolute).catch(() => undefined);
  const target = link === undefined ? absolute : resolve(dirname(absolute), link);
  const parent = await stat(dirname(posix.normalize(target))).catch(() => undefined);
  if (!parent?.isDirectory())
    throw new Failure(`invalid output path: directory "${dirname(posix.normalize(target))}" does not exist`, 1);
  return { path: target, kind: 'nothing' };
}

async function copyIn(copy: Copy, container: string): Promise<number> {
  const { engine, source } = copy;
  const path = await followIn(engine, container, copy.destination);
  const found = await statIn(engine, container, path);
  const kind = found === undefined ? 'nothing' : isSet(found.mode, goDirectory) ? 'directory' : 'other';
  const count = { bytes: 0 };
  const upload = async (directory: string, body: AsyncIterable<Uint8Array>) => {
    await engine.text('PUT', archivePath(container), {
      query: { path: directory, noOverwriteDirNonDir: true, copyUIDGID: copy.archive || undefined },
      body: counted(body, count),
    });
    return count.bytes;
  };
  if (source === '-') {
    if (kind !== 'directory')
      throw new Failure(`destination "${container}:${copy.destination}" must be a directory`, 1);
    return await upload(path, standardInput());
  }
  const local = resolve(source);
  const own = await lstatOrFail(local, source);
  const followed = copy.followLink || /\/\.?$/.test(source) ? await realpath(local) : local;
  const directory = followed === local ? own.isDirectory() : (await lstatOrFail(followed, source)).isDirectory();
  if (!directory && /\/\.?$/.test(source)) throw new Failure(`lstat ${source}: not a directory`, 1);
  const place = placeCopy({ path: isContentOnly(source) ? `${local}/.` : local, directory }, path, kind);
  if (typeof place === 'string') throw new Failure(place, 1);
  const { packLocal } = await localArchives();
  const options = { name: place.name ?? '.', contentOnly: place.name === undefined, onSkipped: skipped };
  return await upload(place.directory, packLocal(followed, options));
}

const lstatOrFail = async (path: string, given: string) =>
  await lstat(path).catch((error: NodeJS.ErrnoException) => {
    throw new Failure(`lstat ${given}: ${error.code === 'ENOENT' ? 'no such file or directory' : error.message}`, 1);
  });
