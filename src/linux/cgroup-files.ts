import { closeSync, constants, mkdirSync, openSync, readdirSync, readFileSync, rmdirSync, writeSync } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import { SyscallError } from './kernel.ts';

/** What is done to cgroupfs, synchronously. The seam at which a test puts a tree of another layout. */
export interface CgroupFiles {
  /** @throws SyscallError */
  read(path: string): string;
  /** One write(2) to a file that exists. @throws SyscallError */
  write(path: string, value: string): void;
  /** False where it is there already. @throws SyscallError */
  makeDirectory(path: string): boolean;
  /** False where it was gone already. @throws SyscallError EBUSY while it has processes or directories */
  removeDirectory(path: string): boolean;
  /** Names of the directories in it; none where it is gone. */
  directories(path: string): readonly string[];
}

const isErrno = (error: unknown): error is NodeJS.ErrnoException & { errno: number } =>
  error instanceof Error && 'errno' in error && typeof error.errno === 'number';

function asSyscallError(error: unknown, about: string): unknown {
  return isErrno(error) ? new SyscallError(error.syscall ?? 'cgroup', -error.errno, about) : error;
}

const hasCode = (error: unknown, code: string) => isErrno(error) && error.code === code;

/** The host's cgroupfs. */
export const hostCgroupFiles: CgroupFiles = {
  read(path) {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw asSyscallError(error, path);
    }
  },
  write(path, value) {
    try {
      const fd = openSync(path, constants.O_WRONLY);
      try {
        writeSync(fd, value);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw asSyscallError(error, `${value} to ${path}`);
    }
  },
  makeDirectory(path) {
    try {
      mkdirSync(path);
      return true;
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false;
      throw asSyscallError(error, path);
    }
  },
  removeDirectory(path) {
    try {
      rmdirSync(path);
      return true;
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return false;
      throw asSyscallError(error, path);
    }
  },
  directories(path) {
    try {
      return readdirSync(path, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return [];
      throw asSyscallError(error, path);
    }
  },
};

/** A cgroup's directory in the hierarchy that has one controller. */
export interface ControllerDirectory {
  readonly version: 1 | 2;
  readonly path: string;
  readonly files: CgroupFiles;
}

export const readControl = (directory: ControllerDirectory, file: string): string =>
  directory.files.read(`${directory.path}/${file}`).trim();

/** As readControl; undefined where the kernel (or the controller's absence) gives no such file. */
export function readControlIfThere(directory: ControllerDirectory | undefined, file: string): string | undefined {
  if (directory === undefined) return undefined;
  try {
    return readControl(directory, file);
  } catch (error) {
    if (error instanceof SyscallError && (error.code === 'ENOENT' || error.code === 'ENODEV')) return undefined;
    throw error;
  }
}

/** Writes one limit; `field` is what the caller named it, for errors. @throws SyscallError, GantryError unsupported */
export function writeControl(directory: ControllerDirectory, file: string, value: string, field: string): void {
  try {
    directory.files.write(`${directory.path}/${file}`, value);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (error.code === 'ENOENT')
      throw new GantryError(
        'unsupported',
        `${field} ${value}: there is no ${file} in ${directory.path}; the kernel lacks it or its controller is not enabled`,
        { cause: error },
      );
    throw new SyscallError(error.syscall, error.errno, `${field}: ${value} to ${directory.path}/${file}`);
  }
}

/** The number behind `key` in a file of `key value` lines. */
export function keyedNumber(text: string | undefined, key: string): number | undefined {
  const value = text?.match(new RegExp(`^${key} (\\d+)$`, 'm'))?.[1];
  return value === undefined ? undefined : Number(value);
}
