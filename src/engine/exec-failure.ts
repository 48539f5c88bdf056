import { GantryError, isGantryError } from '#errors/index.ts';
import { closeFd, findStatusAt, openInRoot, readInto, readLinkAt, statusOf } from '#linux/index.ts';
import type { Process } from '#oci/index.ts';
import { openRootToRead } from './container-view.ts';
import type { Context } from './context.ts';
import type { Container } from './engine.ts';
import { programHeadBytes, readProgramFile } from './program-file.ts';

/**
 * The error of a start or an exec, with the reason that is found in the container's files. Where they cannot be looked at, it
 * comes back as it is.
 */
export async function explained(
  context: Context,
  container: Container,
  process: Pick<Process, 'args' | 'env' | 'cwd'>,
  error: unknown,
): Promise<unknown> {
  if (!isExecFailure(error)) return error;
  let root: number;
  try {
    root = await openRootToRead(context, container);
  } catch (cause) {
    if (isGantryError(cause)) return error; // it ended, or this kernel shows no such view
    throw cause;
  }
  try {
    return explainExecFailure(
      error,
      { command: process.args[0] ?? '', env: process.env ?? [], workingDir: process.cwd, noexec: noexecOf(container) },
      root,
    );
  } finally {
    closeFd(root);
  }
}

const noexecOf = ({ options, mounts }: Container): readonly string[] => [
  ...Object.entries(options.tmpfs ?? {})
    .filter(([, text]) => !text.split(',').includes('exec'))
    .map(([target]) => target),
  ...mounts.filter(({ type }) => type === 'tmpfs').map(({ target }) => target),
];

/** What was to be executed, as the process would have seen it. */
export interface Attempt {
  readonly command: string;
  readonly env: readonly string[];
  readonly workingDir: string;
  /** Memory filesystems where nothing may be executed. */
  readonly noexec: readonly string[];
}

const hostMachine =
  ({ x64: 'amd64', arm64: 'arm64' } as Readonly<Record<string, string>>)[process.arch] ?? process.arch;
/** A script's interpreter may be a script; the kernel follows five. */
const deepest = 5;

/**
 * Says why a command could not be executed, by looking at it below `root`: every link is resolved inside (openat2(2)), a fifo
 * does not block, and little is read. Errors that are about no command come back as they are.
 */
export function explainExecFailure(error: unknown, attempt: Attempt, root: number): unknown {
  if (!isExecFailure(error)) return error;
  const reason = reasonOf(error, attempt, root);
  if (reason === undefined) return error;
  const message = error.message.replace(/ \(its interpreter is missing\)$/, '');
  return new GantryError(error.kind, `${message}: ${reason}`, { code: error.code, cause: error });
}

export const isExecFailure = (error: unknown): error is GantryError =>
  isGantryError(error) && (error.code === 'command-not-found' || error.code === 'command-not-executable');

function reasonOf(error: GantryError, attempt: Attempt, root: number): string | undefined {
  const { command, env, workingDir } = attempt;
  const looked: Look = { root, noexec: attempt.noexec, denied: /permission denied/.test(error.message) };
  const within = (path: string) => (path.startsWith('/') ? path : `${workingDir}/${path}`);
  if (command.includes('/')) return reasonAt(looked, within(command), 0);
  const path = env.findLast((entry) => entry.startsWith('PATH='))?.slice('PATH='.length) ?? '';
  for (const directory of path.split(':')) {
    const candidate = `${within(directory === '' ? '.' : directory)}/${command}`;
    if (find(root, candidate) !== undefined || linkAt(root, candidate) !== undefined)
      return reasonAt(looked, candidate, 0);
  }
  if (error.code !== 'command-not-found') return undefined;
  if (command.includes(' '))
    return `there is no program of this name in ${path}; is it a command with its arguments in one word?`;
  return `there is no such file in ${path}`;
}

interface Look {
  readonly root: number;
  readonly noexec: readonly string[];
  /** The kernel spoke of permission. */
  readonly denied: boolean;
}

/** Why the file at an absolute path cannot be executed; undefined where nothing is seen that would keep it from it. */
function reasonAt(looked: Look, path: string, depth: number): string | undefined {
  const { root, noexec, denied } = looked;
  if (/^\/(?:proc|sys|dev)\//.test(path)) return undefined;
  const seen = find(root, path);
  if (seen === undefined) {
    const target = linkAt(root, path);
    if (target !== undefined) return `${path} is a link to ${target}, which is not there`;
    return depth === 0 ? parentReason(root, path) : `${path} is not there`;
  }
  if (seen.type === 'directory') return `${path} is a directory`;
  if (seen.type !== 'file') return `${path} is a ${seen.type}, and no file`;
  if ((seen.mode & 0o111) === 0) return `${path} has no permission to execute (mode ${octal(seen.mode)}): chmod +x it`;
  const memory = noexec.find((target) => path.startsWith(`${target}/`));
  if (memory !== undefined) return `${memory} is a tmpfs where nothing may be executed; mount it with the option exec`;
  if (denied && depth === 0)
    return `its user may not execute ${path} (mode ${octal(seen.mode)}, owner ${seen.owner}), or not enter a directory above it`;
  const file = readProgramFile(seen.head);
  switch (file.kind) {
    case 'empty':
      return `${path} is an empty file`;
    case 'text':
      return `${path} is a text file; its first line must name an interpreter, e.g. #!/bin/sh`;
    case 'foreign':
      return `${path} is ${file.what}`;
    case 'unknown':
      return `${path} is no program that Linux knows`;
    case 'script': {
      const { interpreter, carriageReturn, marked } = file;
      if (marked) return `a byte order mark stands before the #! of ${path}; save it without`;
      if (carriageReturn)
        return `the first line of ${path} ends with a carriage return (CRLF), and there is no "${interpreter}\\r"; convert it, e.g. with sed -i 's/\\r$//'`;
      if (interpreter === '') return `the #! of ${path} names no interpreter`;
      if (depth >= deepest) return `${path} names one interpreter after the other`;
      const deeper = reasonAt(looked, interpreter.startsWith('/') ? interpreter : `/${interpreter}`, depth + 1);
      return deeper === undefined ? undefined : `the interpreter that ${path} names cannot be run: ${deeper}`;
    }
    case 'elf': {
      const { machine, object, loader } = file;
      if (machine !== hostMachine && !(machine === '386' && hostMachine === 'amd64'))
        return `${path} is a program for ${machine}, and this machine is ${hostMachine}; use an image for it`;
      if (object) return `${path} is an object file; link it to a program`;
      if (loader === undefined || find(root, loader) !== undefined) return undefined;
      const libc = /musl/.test(loader) ? 'musl (Alpine)' : 'glibc (Debian, Fedora, …)';
      return `${path} needs the dynamic loader ${loader}, which is not there: it was built for ${libc}; use an image that has it, or link it statically`;
    }
  }
}

const octal = (mode: number) => mode.toString(8).padStart(4, '0');

interface Seen {
  readonly type: string;
  readonly owner: string;
  readonly mode: number;
  readonly head: Buffer;
}

/** undefined where there is nothing, or something is in the way. */
function find(root: number, path: string): Seen | undefined {
  return orUndefined(() => {
    const handle = openInRoot(root, path, 'handle');
    try {
      const { type, mode, uid, gid } = statusOf(handle);
      return { type, mode, owner: `${uid}:${gid}`, head: type === 'file' ? headOf(root, path) : Buffer.alloc(0) };
    } finally {
      closeFd(handle);
    }
  });
}

function headOf(root: number, path: string): Buffer {
  const fd = openInRoot(root, path, 'file');
  try {
    const buffer = Buffer.alloc(programHeadBytes);
    let length = 0;
    for (let got = -1; got !== 0 && length < buffer.length; length += got) got = readInto(fd, buffer.subarray(length));
    return buffer.subarray(0, length);
  } finally {
    closeFd(fd);
  }
}

/** Where a link leads that cannot be followed. */
function linkAt(root: number, path: string): string | undefined {
  const [parent, name] = split(path);
  return orUndefined(() => {
    const directory = openInRoot(root, parent, 'directory');
    try {
      return findStatusAt(directory, name)?.type === 'symlink' ? String(readLinkAt(directory, name)) : undefined;
    } finally {
      closeFd(directory);
    }
  });
}

/** The first of a path's directories that is not there, or is none. */
function parentReason(root: number, path: string): string {
  const [parent] = split(path);
  const parts = parent.split('/').filter((part) => part !== '');
  for (let count = 1; count <= parts.length; count++) {
    const directory = `/${parts.slice(0, count).join('/')}`;
    const seen = find(root, directory);
    if (seen === undefined) return `there is no directory ${directory} in the container`;
    if (seen.type !== 'directory') return `${directory} is a ${seen.type}, and no directory`;
  }
  return `there is no such file in the container`;
}

function split(path: string): readonly [parent: string, name: string] {
  const whole = path.replace(/\/+$/, '');
  const at = whole.lastIndexOf('/');
  return [whole.slice(0, at) || '/', whole.slice(at + 1)];
}

function orUndefined<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    // Not there, no directory, a ring of links, or not for us to read.
    if (isGantryError(error)) return undefined;
    throw error;
  }
}
