import { GantryError, isGantryError } from '#errors/index.ts';

/** The same error, naming the entry of the archive that it is about. */
export function unpackError(error: unknown, entry: string): unknown {
  if (!isGantryError(error)) return error;
  const { kind, code, message } = error;
  return new GantryError(kind, `cannot unpack "${entry}": ${message}`, { code, cause: error });
}

export const missingLinkTarget = (linkName: string, cause?: unknown): GantryError =>
  new GantryError('corrupt', `a hard link to "${linkName}", which the archive does not have before it`, {
    code: 'hard-link-target',
    cause,
  });
