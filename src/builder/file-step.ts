import {
  type AddInstruction,
  type CopyInstruction,
  compileGlob,
  expandWord,
  globMatches,
  type Lookup,
  type Word,
} from '#dockerfile/index.ts';
import { GantryError } from '#errors/index.ts';
import { closeFd, mountDetached } from '#linux/index.ts';
import { isArchive, withUnpacked } from './add-archive.ts';
import { type FetchedSource, fetchSources } from './add-remote.ts';
import { cacheKey } from './build-cache.ts';
import type { BuildSession } from './build-session.ts';
import { copySelection, type Destination } from './copy-files.ts';
import { expandFileInstruction, type FileRequest, severalSources } from './file-request.ts';
import { keyedStep } from './keyed-step.ts';
import { resolveOwner } from './owner.ts';
import { digestSelection, type SelectionDigest } from './selection-digest.ts';
import { originOf, type SourceOrigin } from './source-origins.ts';
import { type Selected, type SourceTree, selectSources, walk } from './source-tree.ts';
import type { StageOutput } from './stage-output.ts';
import type { StageState, StepResult } from './stage-state.ts';
import { isDirectory } from './tree-paths.ts';
import { openUpperDirectory } from './upper-directory.ts';
import { writeFetched, writeInline } from './write-files.ts';

type FileInstruction = CopyInstruction | AddInstruction;

/** COPY and ADD: keyed by what is copied, not by when it was touched. @throws GantryError invalid, in Docker's words */
export async function fileStep(
  session: BuildSession,
  state: StageState,
  instruction: FileInstruction,
  at: { readonly stage: number; readonly lookup: Lookup; readonly output: StageOutput },
): Promise<StepResult> {
  const request = expandFileInstruction(session, state, instruction, at.lookup);
  const from = instruction.kind === 'COPY' ? instruction.from : undefined;
  const expandedFrom = from === undefined ? undefined : { ...from, text: expandFrom(session, from, at.lookup) };
  const origin = await originOf(session, expandedFrom, at.stage, at.output);
  const fetched = await fetchSources(session, request);
  const content = request.patterns.length === 0 ? undefined : await contentDigest(session, origin, request);
  const createdBy = `/bin/sh -c #(nop) ${instruction.original}`;
  const made = await keyedStep(
    session,
    state,
    at,
    {
      kind: instruction.kind,
      original: instruction.original,
      facts: {
        ...(content === undefined ? {} : { files: content.digest }),
        ...(fetched.length === 0 ? {} : { 'what is fetched': fetched.map(({ name, digest }) => [name, digest]) }),
        ...(request.inline.length === 0 ? {} : { 'the heredocs': request.inline }),
        'the destination': request.directory ? `${request.destination}/` : request.destination,
        ...(request.chown === undefined ? {} : { '--chown': request.chown.text }),
        ...(request.mode === undefined ? {} : { '--chmod': request.mode }),
        ...(request.parents ? { '--parents': true } : {}),
        ...(request.link ? { '--link': true } : {}),
        ...(request.unpack === undefined ? {} : { '--unpack': request.unpack }),
      },
      ...(content?.files === undefined ? {} : { files: content.files }),
    },
    async ({ diffId }) => {
      if (isPlainCopy(instruction, request) && (await origin.use(async (tree) => fillsDirectory(tree, request)))) {
        const upper = openUpperDirectory(await session.driver.mounts(diffId), request.destination, undefined);
        if (upper !== undefined) {
          const { mode } = request;
          const destination: Destination = {
            root: upper.fd,
            path: '/',
            directory: true,
            plain: true,
            made: upper.made,
            ...(mode === undefined ? {} : { mode }),
          };
          try {
            await origin.use((tree) => writeSelected(session, instruction, tree, request, destination));
          } finally {
            closeFd(upper.fd);
          }
          return;
        }
      }
      // Asked anew: a volatile overlay is mounted again only after the driver made it ready.
      const root = mountDetached(await session.driver.mounts(diffId));
      try {
        const owner = request.chown && (await resolveOwner(root, request.chown.text, request.chown.word));
        const destination: Destination = {
          root,
          path: request.destination,
          directory: request.directory,
          ...(owner === undefined ? {} : { owner }),
          ...(request.mode === undefined ? {} : { mode: request.mode }),
          ...(request.parents ? { parents: true } : {}),
          ...(request.link ? { throughLinks: false } : {}),
        };
        await writeInline(request.inline, destination);
        for (const source of fetched) await writeFetchedSource(session, source, request, destination);
        if (request.patterns.length > 0)
          await origin.use((tree) => writeSelected(session, instruction, tree, request, destination));
      } finally {
        closeFd(root);
      }
    },
  );
  return { ...made, createdBy };
}

/** Whether the destination is a directory whatever is there: it was written so, or directories are what is copied. */
const fillsDirectory = (tree: SourceTree, request: FileRequest): boolean =>
  request.directory || select(tree, request).every(({ path }) => isDirectory(tree.root, path));

/** Files of one tree, whose owners need no looking up in the image. */
const isPlainCopy = ({ kind }: FileInstruction, request: FileRequest): boolean =>
  kind === 'COPY' &&
  request.patterns.length > 0 &&
  request.inline.length === 0 &&
  request.chown === undefined &&
  !request.parents &&
  !request.link;

/** `--from` takes variables where a stage's or image's name cannot be told before. */
const expandFrom = (session: BuildSession, from: Word, lookup: Lookup) =>
  from.text.includes('$') ? expandWord(from, lookup, session.file.escape) : from.text;

/** What is selected, without what `--exclude` names. */
function select(tree: SourceTree, request: FileRequest): readonly Selected[] {
  const selected = selectSources(tree, request.patterns);
  if (request.excludes.length === 0) return selected;
  const globs = request.excludes.map((pattern) => compileGlob(pattern, { deep: true }));
  return selected.map((source) => ({ ...source, excludes: (path) => globs.some((glob) => globMatches(glob, path)) }));
}

/** The digest of what is selected; of a tree that never changes it is asked only once. */
async function contentDigest(
  session: BuildSession,
  origin: SourceOrigin,
  request: FileRequest,
): Promise<Partial<SelectionDigest> & Pick<SelectionDigest, 'digest'>> {
  const digest = () => origin.use((tree) => digestSelection(tree, select(tree, request), session.signal));
  if (origin.layer === undefined) return digest();
  const key = cacheKey('selection', [origin.layer, request.patterns, request.excludes]);
  const known = session.cache.findDigest(key);
  if (known !== undefined) return { digest: known };
  const found = await digest();
  session.cache.putDigest(key, found.digest);
  return { digest: found.digest };
}

async function writeFetchedSource(
  session: BuildSession,
  source: FetchedSource,
  request: FileRequest,
  destination: Destination,
): Promise<void> {
  const { scratch, signal } = session;
  if (source.is === 'file' && request.unpack !== true) return writeFetched(source, destination);
  if (source.is === 'file') {
    const entry = source.entry();
    if (!(await isArchive(entry))) return writeFetched(source, destination);
    return withUnpacked(entry, scratch, signal, (unpacked) =>
      copySelection(unpacked, [{ path: '', name: '' }], destination, signal),
    );
  }
  return source.use((tree) =>
    copySelection(tree, [{ path: '', name: '' }], { ...destination, parents: false }, signal),
  );
}

async function writeSelected(
  session: BuildSession,
  instruction: FileInstruction,
  tree: SourceTree,
  request: FileRequest,
  destination: Destination,
): Promise<void> {
  const { signal } = session;
  const selected = select(tree, request);
  if (selected.length > 1 && !request.directory) throw new GantryError('invalid', severalSources(instruction.kind));
  if (instruction.kind === 'COPY' || request.unpack === false)
    return copySelection(tree, selected, destination, signal);
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
