import { type ErrorKind, isGantryError, messageOf } from '#errors/index.ts';
import { statusOfKind } from './error-status.ts';

/** What a client is told of an error. */
export interface ErrorAnswer {
  readonly status: number;
  readonly message: string;
  /** False where it is nobody's fault but ours. */
  readonly known: boolean;
}

/** An error's status and message; where the disk of the data root is the reason, with what to do about it. */
export function errorAnswer(error: unknown): ErrorAnswer {
  const disk = diskProblem(error);
  const kind = isGantryError(error) && error.kind !== 'internal' ? error.kind : (disk?.kind ?? undefined);
  const own = (error as { statusCode?: number } | null)?.statusCode;
  return {
    status: kind === undefined ? (own ?? 500) : statusOfKind[kind],
    message: disk === undefined ? messageOf(error) : `${messageOf(error)}; ${disk.advice}`,
    known: isGantryError(error) || disk !== undefined,
  };
}

const full = {
  kind: 'exhausted',
  advice: 'the disk of the data root is full: free space, e.g. with "gantry system prune" (see "gantry system df")',
} as const;
const readOnly = {
  kind: 'forbidden',
  advice: 'the disk of the data root is read-only: the kernel\u2019s log says why ("dmesg"); mount it writable again',
} as const;
const broken = {
  kind: 'unavailable',
  advice: 'the disk of the data root cannot be written: the kernel\u2019s log says why ("dmesg")',
} as const;

const problems: Readonly<Record<string, { readonly kind: ErrorKind; readonly advice: string }>> = {
  ENOSPC: full,
  EDQUOT: full,
  EROFS: readOnly,
  EIO: broken,
  // SQLite's primary result codes (sqlite.org/rescode.html).
  SQLITE_READONLY: readOnly,
  SQLITE_IOERR: broken,
  SQLITE_FULL: full,
};
const sqliteCodes: Readonly<Record<number, string>> = { 8: 'SQLITE_READONLY', 10: 'SQLITE_IOERR', 13: 'SQLITE_FULL' };

/** The disk's part in an error or in what caused it. */
function diskProblem(error: unknown, depth = 5): { readonly kind: ErrorKind; readonly advice: string } | undefined {
  if (!(error instanceof Error) || depth === 0) return undefined;
  const { code, errcode, syscall } = error as { code?: unknown; errcode?: unknown; syscall?: unknown };
  // A container's own file system may be read-only, and limits of namespaces are told by the errno of a full disk
  // (clone(2)): these are no calls of the engine's.
  if ((code === 'EROFS' && syscall === undefined && error.cause === undefined) || /clone|namespace/.test(error.message))
    return undefined;
  const name = typeof errcode === 'number' ? sqliteCodes[errcode & 0xff] : typeof code === 'string' ? code : undefined;
  if (name !== undefined && Object.hasOwn(problems, name)) return problems[name];
  return diskProblem(error.cause, depth - 1);
}
