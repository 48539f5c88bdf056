import { createReadStream } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { posix } from 'node:path';
import {
  type AddInstruction,
  type CopyInstruction,
  expandText,
  expandWord,
  frameError,
  type Lookup,
  type Word,
} from '#dockerfile/index.ts';
import { GantryError } from '#errors/index.ts';
import { closeFd, mountDetached } from '#linux/index.ts';
import { isArchive, withUnpacked } from './add-archive.ts';
import { type Download, download, isGitSource, isUrl, nameOfUrl } from './add-url.ts';
import { cacheKey } from './build-cache.ts';
import type { BuildSession } from './build-session.ts';
import { copySelection, type Destination, makeRoom, placeOf, writeFileAt } from './copy-files.ts';
import { parseMode, resolveOwner } from './owner.ts';
import { digestSelection } from './selection-digest.ts';
import { originOf, type SourceOrigin } from './source-origins.ts';
import { type Selected, type SourceTree, selectSources, walk } from './source-tree.ts';
import type { StageOutput } from './stage-output.ts';
import type { StageState, StepResult } from './stage-state.ts';

type FileInstruction = CopyInstruction | AddInstruction;

interface InlineFile {
  readonly name: string;
  readonly body: string;
}

/** The instruction with its variables expanded. */
interface FileRequest {
  readonly patterns: readonly string[];
  readonly urls: readonly { readonly url: string; readonly word: Word }[];
  readonly inline: readonly InlineFile[];
  readonly destination: string;
  readonly directory: boolean;
  readonly chown: { readonly text: string; readonly word: Word } | undefined;
  readonly mode: number | undefined;
  readonly checksum: string | undefined;
}

/** COPY and ADD: keyed by what is copied, not by when it was touched. @throws GantryError invalid, in Docker's words */
export async function fileStep(
  session: BuildSession,
  state: StageState,
  instruction: FileInstruction,
  at: { readonly stage: number; readonly lookup: Lookup; readonly output: StageOutput },
): Promise<StepResult> {
  const { layers, signal } = session;
  refuseUnbuilt(instruction);
  const request = expandRequest(session, state, instruction, at.lookup);
  const from = instruction.kind === 'COPY' ? instruction.from : undefined;
  const origin = await originOf(session, from, at.stage, at.output);
  const downloads = await fetchAll(session, request);
  const content = request.patterns.length === 0 ? '' : await contentDigest(session, origin, request.patterns);
  const key = cacheKey(instruction.kind, [
    state.tree.identity,
    content,
    downloads.map(({ name, digest }) => [name, digest]),
    request.inline,
    request.destination,
    request.directory,
    request.chown?.text,
    request.mode,
  ]);
  const createdBy = `/bin/sh -c #(nop) ${instruction.original}`;
  const cached = session.request.noCache ? undefined : await layers.reuse(key, state.tree, signal);
  if (cached !== undefined) {
    at.output.text(' ---> Using cache\n');
    return { ...cached, createdBy };
  }
  const made = await layers.make(
    key,
    state.tree,
    async (diffId) => {
      const root = mountDetached(await session.driver.mounts(diffId));
      try {
        const owner = request.chown && (await resolveOwner(root, request.chown.text, request.chown.word));
        const destination: Destination = {
          root,
          path: request.destination,
          directory: request.directory,
          ...(owner === undefined ? {} : { owner }),
          ...(request.mode === undefined ? {} : { mode: request.mode }),
        };
        await writeInline(request.inline, destination);
        await writeDownloads(downloads, destination);
        if (request.patterns.length > 0)
          await origin.use((tree) => writeSelected(session, instruction, tree, request, destination));
      } finally {
        closeFd(root);
      }
    },
    signal,
  );
  return { ...made, createdBy };
}

function refuseUnbuilt(instruction: FileInstruction): void {
  const refuse = (word: Word | undefined, flag: string, instead: string) => {
    if (word !== undefined)
      throw frameError(word.span, `${instruction.kind} --${flag} is not supported yet; ${instead}`, 'unsupported');
  };
  refuse(instruction.link, 'link', 'without it the result is the same, unless the destination is a link');
  refuse(instruction.exclude[0], 'exclude', 'use .dockerignore, or copy less');
  if (instruction.kind === 'COPY') refuse(instruction.parents, 'parents', 'name the destination of each source');
  else {
    refuse(instruction.keepGitDir, 'keep-git-dir', 'clone in a RUN');
    refuse(instruction.unpack, 'unpack', 'tar archives of the context are always unpacked by ADD, never by COPY');
  }
}

function expandRequest(
  session: BuildSession,
  state: StageState,
  instruction: FileInstruction,
  lookup: Lookup,
): FileRequest {
  const expand = (word: Word) => expandWord(word, lookup, session.file.escape);
  const isAdd = instruction.kind === 'ADD';
  const sources = instruction.sources.map((word) => ({ text: expand(word), word }));
  for (const { text, word } of sources) {
    if (text === '') throw frameError(word.span, `${instruction.kind}: the source ${word.text} is empty`);
    if (isAdd && isGitSource(text))
      throw frameError(word.span, 'ADD of a git repository is not supported yet; clone it in a RUN', 'unsupported');
    if (!isAdd && isUrl(text)) throw frameError(word.span, `source can't be a URL for COPY; use ADD ${text}`);
  }
  const urls = isAdd ? sources.filter(({ text }) => isUrl(text)) : [];
  const checksum = isAdd ? instruction.checksum : undefined;
  if (checksum !== undefined) {
    if (urls.length !== 1 || sources.length !== 1)
      throw frameError(checksum.span, '--checksum can only be used with one URL');
    if (!/^sha256:[0-9a-f]{64}$/.test(expand(checksum)))
      throw frameError(checksum.span, `--checksum="${checksum.text}" is not sha256: and 64 hex digits`);
  }
  const inline = instruction.heredocs.map(({ name, body, expand: variables, span }) => ({
    name: posix.basename(name),
    body: variables ? expandText(body, span, lookup, session.file.escape) : body,
  }));
  const destination = expand(instruction.destination);
  if (destination === '')
    throw frameError(instruction.destination.span, `${instruction.kind}: the destination is empty`);
  const directory = /(?:^|\/)\.?$/.test(destination);
  if (sources.length + inline.length > 1 && !directory)
    throw frameError(instruction.destination.span, severalSources(instruction.kind));
  const chown = instruction.chown;
  const mode = instruction.chmod;
  return {
    patterns: sources.filter(({ text }) => !isAdd || !isUrl(text)).map(({ text }) => text),
    urls: urls.map(({ text, word }) => ({ url: text, word })),
    inline,
    destination: posix.resolve('/', state.config.WorkingDir ?? '/', destination),
    directory,
    chown: chown === undefined ? undefined : { text: expand(chown), word: chown },
    mode: mode === undefined ? undefined : parseMode(expand(mode), mode),
    checksum: checksum === undefined ? undefined : expand(checksum),
  };
}

const severalSources = (kind: string) =>
  `When using ${kind} with more than one source file, the destination must be a directory and end with a /`;

/** The digest of what is selected; of a tree that never changes it is asked only once. */
async function contentDigest(
  session: BuildSession,
  origin: SourceOrigin,
  patterns: readonly string[],
): Promise<string> {
  const digest = () => origin.use((tree) => digestSelection(tree, selectSources(tree, patterns), session.signal));
  if (origin.layer === undefined) return digest();
  const key = cacheKey('selection', [origin.layer, patterns]);
  const known = session.cache.findDigest(key);
  if (known !== undefined) return known;
  const found = await digest();
  session.cache.putDigest(key, found);
  return found;
}

async function fetchAll(session: BuildSession, request: FileRequest): Promise<readonly Download[]> {
  const downloads: Download[] = [];
  for (const { url, word } of request.urls) {
    const name = request.directory ? nameOfUrl(url, word) : posix.basename(request.destination);
    const directory = await mkdtemp(`${session.scratch}/download-`);
    downloads.push({
      name,
      ...(await download(url, `${directory}/content`, word, { checksum: request.checksum, signal: session.signal })),
    });
  }
  return downloads;
}

const root = { uid: 0, gid: 0 };

async function writeDownloads(downloads: readonly Download[], destination: Destination): Promise<void> {
  for (const { name, path, mtime } of downloads)
    await writeNew(name, createReadStream(path), destination, destination.mode ?? 0o600, mtime);
}

async function writeInline(files: readonly InlineFile[], destination: Destination): Promise<void> {
  for (const { name, body } of files)
    await writeNew(name, bytes(body), destination, destination.mode ?? 0o644, { seconds: 0, nanoseconds: 0 });
}

async function* bytes(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

async function writeNew(
  name: string,
  content: AsyncIterable<Uint8Array>,
  destination: Destination,
  mode: number,
  mtime: Download['mtime'],
): Promise<void> {
  const place = placeOf(destination, name);
  try {
    makeRoom(place.fd, place.name);
    await writeFileAt(place.fd, place.name, content, { owner: destination.owner ?? root, mode, mtime });
  } finally {
    closeFd(place.fd);
  }
}

async function writeSelected(
  session: BuildSession,
  instruction: FileInstruction,
  tree: SourceTree,
  request: FileRequest,
  destination: Destination,
): Promise<void> {
  const { signal } = session;
  const selected = selectSources(tree, request.patterns);
  if (selected.length > 1 && !request.directory) throw new GantryError('invalid', severalSources(instruction.kind));
  if (instruction.kind === 'COPY') return copySelection(tree, selected, destination, signal);
  for (const source of selected)
    if (!(await addArchive(session, tree, source, destination)))
      await copySelection(tree, [source], destination, signal);
}

/** ADD of one source that is an archive: its content instead of it. */
async function addArchive(
  { scratch, signal }: BuildSession,
  tree: SourceTree,
  source: Selected,
  destination: Destination,
): Promise<boolean> {
  for await (const { step, entry } of walk(tree, source, signal)) {
    if (step !== 'leaf' || entry.path !== '' || !(await isArchive(entry))) return false;
    await withUnpacked(entry, scratch, signal, (unpacked) =>
      copySelection(unpacked, [{ path: '', name: '' }], destination, signal),
    );
    return true;
  }
  return false;
}
