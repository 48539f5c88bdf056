import { createRequire } from 'node:module';
import { getSystemErrorName } from 'node:util';
import { type ErrorKind, GantryError } from '#errors/index.ts';
import { nativePath } from './native-path.ts';
import { syscallNumbers } from './syscall-numbers.ts';

/** One register of a system call: a number, a pointer (string → NUL-terminated copy, typed array → its bytes) or null. */
export type SyscallArgument = number | bigint | string | Uint8Array | null;
export type SyscallName = keyof (typeof syscallNumbers)['x64'];

/**
 * The one seam to the kernel. Results are ≥ 0, or the negated errno; `src/linux/recording-kernel.ts` is the fake.
 * Files of this folder take a `Kernel` only where a test needs the fake; others use the real one, `kernel`.
 */
export interface Kernel {
  call(name: SyscallName, ...args: SyscallArgument[]): number;
  /** The same on a pool thread, for calls that block. */
  callAsync(name: SyscallName, ...args: SyscallArgument[]): Promise<number>;
  /** The same on a scratch thread moved into the namespace `nsFd` (setns(2)) first. */
  callInNamespace(nsFd: number, name: SyscallName, ...args: SyscallArgument[]): number;
  /** The address of a buffer's bytes, for structs with pointers. Keep the buffer referenced until the call is done. */
  addressOf(buffer: Uint8Array): bigint;
}

interface Addon {
  call(nr: number, ...args: SyscallArgument[]): number;
  callAsync(nr: number, ...args: SyscallArgument[]): Promise<number>;
  callInNamespace(nsFd: number, nr: number, ...args: SyscallArgument[]): number;
  addressOf(buffer: Uint8Array): bigint;
}

let addon: Addon | undefined;

function load(): Addon {
  addon ??= createRequire(import.meta.url)(nativePath('gantry.node')) as Addon;
  return addon;
}

const numbers = syscallNumbers[process.arch === 'arm64' ? 'arm64' : 'x64'];

/** The running kernel. */
export const kernel: Kernel = {
  call: (name, ...args) => load().call(numbers[name], ...args),
  callAsync: (name, ...args) => load().callAsync(numbers[name], ...args),
  callInNamespace: (nsFd, name, ...args) => load().callInNamespace(nsFd, numbers[name], ...args),
  addressOf: (buffer) => load().addressOf(buffer),
};

/** A failed system call. `code` is the errno's name (`ENOENT`), as in Node's own errors. */
export class SyscallError extends GantryError {
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number, about: string) {
    const name = getSystemErrorName(-errno);
    super(kindOfErrno(name), `${syscall} ${about}: ${name}`, { code: name });
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** The kind of an error that the kernel names so; also for `code` of Node's own errors. */
export function kindOfErrno(name: string): ErrorKind {
  switch (name) {
    case 'ENOENT':
    case 'ENODEV':
    case 'ENXIO':
    case 'ESRCH':
      return 'not-found';
    case 'EEXIST':
    case 'EBUSY':
    case 'EADDRINUSE':
      return 'conflict';
    case 'EPERM':
    case 'EACCES':
    case 'EROFS':
      return 'forbidden';
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOMEM':
      return 'exhausted';
    case 'ENOSYS':
    case 'EOPNOTSUPP':
      return 'unsupported';
    case 'EINVAL':
    case 'E2BIG':
    case 'ERANGE':
    case 'ENAMETOOLONG':
    case 'ELOOP':
    case 'ENOTDIR':
    case 'EXDEV':
      return 'invalid';
    default:
      return 'internal';
  }
}

/** Returns a call's result. @throws SyscallError for a negated errno; `about` names what it was done to. */
export function check(result: number, syscall: string, about: string): number {
  if (result < 0) throw new SyscallError(syscall, -result, about);
  return result;
}
