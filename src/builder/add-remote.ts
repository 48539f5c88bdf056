import { constants } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { posix } from 'node:path';
import { frameError } from '#dockerfile/index.ts';
import { GantryError } from '#errors/index.ts';
import { closeFd, openAt, openDirectory, statusAt } from '#linux/index.ts';
import { download, nameOfUrl } from './add-url.ts';
import type { BuildSession } from './build-session.ts';
import type { FileRequest, RemoteSource } from './file-request.ts';
import { cloneRepository } from './git-source.ts';
import { nothingIgnored } from './ignore.ts';
import type { SourceTree, TreeEntry } from './source-tree.ts';

const EXDEV = 18;

/** A file that ADD downloaded. */
export interface FetchedFile {
  readonly is: 'file';
  readonly name: string;
  readonly path: string;
  readonly digest: string;
  readonly mtime: { readonly seconds: number; readonly nanoseconds: number };
  /** As an entry that may turn out to be an archive. */
  entry(): TreeEntry;
}

/** A repository that ADD cloned. */
export interface FetchedTree {
  readonly is: 'tree';
  readonly name: string;
  /** The commit. */
  readonly digest: string;
  use<T>(work: (tree: SourceTree) => Promise<T>): Promise<T>;
}

export type FetchedSource = FetchedFile | FetchedTree;

/** Fetches what ADD names by URL. @throws GantryError invalid, corrupt (another checksum), unavailable, cancelled */
export async function fetchSources(session: BuildSession, request: FileRequest): Promise<readonly FetchedSource[]> {
  const fetched: FetchedSource[] = [];
  for (const source of request.remote)
    fetched.push(
      source.is === 'git' ? await fetchRepository(session, source, request) : await fetchFile(session, source, request),
    );
  return fetched;
}

async function fetchFile(
  { scratch, signal }: BuildSession,
  { url, word }: RemoteSource,
  { directory, destination, checksum }: FileRequest,
): Promise<FetchedFile> {
  const name = directory ? nameOfUrl(url, word) : posix.basename(destination);
  const folder = await mkdtemp(`${scratch}/download-`);
  const path = `${folder}/content`;
  const found = await download(url, path, word, { checksum, signal });
  return {
    is: 'file',
    name,
    ...found,
    entry() {
      const fd = openDirectory(folder);
      try {
        return {
          path: '',
          name,
          status: statusAt(fd, 'content'),
          open: () => {
            const parent = openDirectory(folder);
            try {
              return openAt(parent, 'content', constants.O_RDONLY);
            } finally {
              closeFd(parent);
            }
          },
          link: () => {
            throw new GantryError('internal', `${name} is not a link`);
          },
          linkAs: () => -EXDEV,
        };
      } finally {
        closeFd(fd);
      }
    },
  };
}

async function fetchRepository(
  { scratch, signal, request: { secrets } }: BuildSession,
  { url, word }: RemoteSource,
  { checksum, keepGitDirectory }: FileRequest,
): Promise<FetchedTree> {
  const folder = await mkdtemp(`${scratch}/clone-`);
  const { directory, commit } = await cloneRepository(url, `${folder}/files`, { secrets, signal, keepGitDirectory });
  if (checksum !== undefined && !commit.startsWith(checksum))
    throw frameError(word.span, `ADD failed: ${url} is at commit ${commit}, not ${checksum}`);
  return {
    is: 'tree',
    name: url,
    digest: commit,
    async use(work) {
      const root = openDirectory(directory);
      try {
        return await work({ root, ignore: nothingIgnored, keepsOwners: false, called: url });
      } finally {
        closeFd(root);
      }
    },
  };
}
