import { spawn } from 'node:child_process';
import { chmod, chown, cp, lchown, lstat, mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { GantryError, throwIfAborted } from '#errors/index.ts';

/** A repository with what of it is wanted: `URL#ref:subdirectory`, or `URL?ref=…&subdir=…`. */
export interface GitSource {
  readonly url: string;
  /** Branch, tag or commit; undefined: what the repository's HEAD is. */
  readonly ref: string | undefined;
  readonly subdirectory: string;
}

/** Whether a text names a git repository, as `docker build` and ADD take it. */
export const isGitSource = (text: string): boolean =>
  /^(?:git@[^:/]+:|git:\/\/|ssh:\/\/|github\.com\/)/i.test(text) || /^https?:\/\/[^?#]*\.git(?:[?#].*)?$/i.test(text);

/** @throws GantryError invalid where a part could be taken for an option of git's */
export function parseGitSource(text: string): GitSource {
  const [beforeFragment = '', fragment = ''] = text.split('#', 2);
  const [bare = '', query = ''] = beforeFragment.split('?', 2);
  const parameters = new URLSearchParams(query);
  const [fragmentRef = '', fragmentDirectory = ''] = fragment.split(':', 2);
  const named = parameters.get('ref') ?? parameters.get('tag') ?? parameters.get('branch') ?? parameters.get('commit');
  const ref = fragmentRef || (named ?? '');
  const subdirectory = fragmentDirectory || (parameters.get('subdir') ?? '');
  const url = /^github\.com\//i.test(bare) ? `https://${bare}` : bare;
  for (const part of [url, ref])
    if (part.startsWith('-') || /[\0\n\r ]/.test(part))
      throw new GantryError('invalid', `"${text}" is not a git repository with an optional #ref:subdirectory`);
  return { url, ref: ref === '' ? undefined : ref, subdirectory };
}

/** Who git runs as: nobody, who can write only the directory it is given. */
const nobody = 65534;

interface GitOptions {
  readonly secrets: Readonly<Record<string, Uint8Array>> | undefined;
  readonly signal: AbortSignal;
  readonly keepGitDirectory?: boolean;
}

/**
 * Clones with the `git` program: as an unprivileged user, without the host's or the user's configuration, hooks, prompts
 * or local transports. Submodules come along. The secret GIT_AUTH_TOKEN, where given, goes to https servers only.
 * @returns the directory of the files, and the commit
 * @throws GantryError unsupported (no git here), not-found, invalid, unavailable, cancelled
 */
export async function cloneRepository(
  text: string,
  path: string,
  options: GitOptions,
): Promise<{ readonly directory: string; readonly commit: string }> {
  const source = parseGitSource(text);
  // A place that nobody can reach: what builds hold otherwise lies behind directories of root's alone.
  const clone = await mkdtemp(`${tmpdir()}/gantry-clone-`);
  try {
    await chown(clone, nobody, nobody);
    const commit = await checkOut(source, text, clone, options);
    if (options.keepGitDirectory !== true) await rm(`${clone}/.git`, { recursive: true, force: true });
    await takeOver(clone);
    await cp(clone, path, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
    return { directory: await subdirectoryOf(source, text, path), commit };
  } finally {
    await rm(clone, { recursive: true, force: true });
  }
}

/** Gives a directory and all below it to root. */
async function takeOver(directory: string): Promise<void> {
  await lchown(directory, 0, 0);
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { recursive: true })) await lchown(`${directory}/${entry}`, 0, 0);
}

/** Fetches what is wanted into a directory. Resolves with the commit. */
async function checkOut(
  { url, ref }: GitSource,
  text: string,
  directory: string,
  options: GitOptions,
): Promise<string> {
  const git = (args: readonly string[]) => runGit(args, directory, url, options);
  await git(['init', '--quiet', '.']);
  const wanted = ref ?? 'HEAD';
  const shallow = await git(['fetch', '--quiet', '--depth=1', '--', url, wanted]).then(
    () => true,
    (error: unknown) => {
      throwIfAborted(options.signal);
      if (error instanceof GantryError && error.kind === 'unsupported') throw error;
      return false;
    },
  );
  // A server may refuse a bare commit, or shallow fetches altogether.
  if (!shallow) await git(['fetch', '--quiet', '--tags', '--', url, '+refs/heads/*:refs/remotes/origin/*', 'HEAD']);
  const target = shallow ? 'FETCH_HEAD' : await resolveRef(git, wanted, text);
  await git(['checkout', '--quiet', '--detach', target]);
  await git(['submodule', '--quiet', 'update', '--init', '--recursive', '--depth=1']);
  return (await git(['rev-parse', 'HEAD'])).trim();
}

async function subdirectoryOf({ subdirectory }: GitSource, text: string, path: string): Promise<string> {
  if (subdirectory === '') return path;
  const directory = await realpath(`${path}/${subdirectory}`).catch(() => '');
  if (!directory.startsWith(`${await realpath(path)}/`) || !(await lstat(directory)).isDirectory())
    throw new GantryError('not-found', `${text}: the repository has no directory "${subdirectory}"`);
  return directory;
}

async function resolveRef(git: (args: readonly string[]) => Promise<string>, ref: string, text: string) {
  if (ref === 'HEAD') return 'FETCH_HEAD';
  for (const candidate of [`refs/remotes/origin/${ref}`, `refs/tags/${ref}`, ref]) {
    const found = await git(['rev-parse', '--verify', '--quiet', `${candidate}^{commit}`]).catch(() => '');
    if (found !== '') return found.trim();
  }
  throw new GantryError('not-found', `${text}: the repository has no branch, tag or commit "${ref}"`);
}

function runGit(args: readonly string[], cwd: string, url: string, { secrets, signal }: GitOptions): Promise<string> {
  const token = secrets?.GIT_AUTH_TOKEN;
  const settings: (readonly [string, string])[] = [
    ['core.hooksPath', '/dev/null'],
    ['protocol.allow', 'never'],
    ...['https', 'http', 'git', 'ssh'].map((name) => [`protocol.${name}.allow`, 'always'] as const),
    ['init.defaultBranch', 'main'],
    ['advice.detachedHead', 'false'],
    ...(token === undefined || !url.startsWith('https://')
      ? []
      : [
          [
            `http.${new URL(url).origin}/.extraheader`,
            `Authorization: basic ${Buffer.from(`x-access-token:${Buffer.from(token).toString('utf8').trim()}`).toString('base64')}`,
          ] as const,
        ]),
  ];
  const env: Record<string, string> = {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    HOME: cwd,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    GIT_SSH_COMMAND: 'ssh -oBatchMode=yes -oStrictHostKeyChecking=accept-new',
    GIT_CONFIG_COUNT: String(settings.length),
  };
  settings.forEach(([key, value], index) => {
    env[`GIT_CONFIG_KEY_${index}`] = key;
    env[`GIT_CONFIG_VALUE_${index}`] = value;
  });
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, {
      cwd,
      env,
      uid: nobody,
      gid: nobody,
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
      killSignal: 'SIGKILL',
    });
    const said = { out: '', error: '' };
    child.stdout.on('data', (data: Buffer) => {
      said.out += data.toString('utf8');
    });
    child.stderr.on('data', (data: Buffer) => {
      said.error = (said.error + data.toString('utf8')).slice(-4096);
    });
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (signal.aborted) reject(new GantryError('cancelled', 'the clone was cancelled'));
      else if (error.code === 'ENOENT')
        reject(new GantryError('unsupported', `${url} needs the program git, which is not installed on this host`));
      else reject(new GantryError('unavailable', `git cannot be run: ${error.message}`, { cause: error }));
    });
    child.once('close', (code) => {
      if (code === 0) resolve(said.out);
      else
        reject(
          new GantryError('unavailable', `git ${args[0]} of ${url} failed (exit code ${code}): ${said.error.trim()}`),
        );
    });
  });
}
