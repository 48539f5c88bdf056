import { GantryError, isGantryError } from '#errors/index.ts';
import { kindOfErrno } from './kernel.ts';

/**
 * Runs operations of `node:fs`; what they throw becomes a GantryError of the errno's kind (ENOSPC is `exhausted`), with
 * the errno's name as its code, that says what was being done: `cannot <what>: …`.
 */
export async function fileOperation<T>(what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (isGantryError(error) || !(error instanceof Error) || !('syscall' in error) || !('code' in error)) throw error;
    const code = String(error.code);
    throw new GantryError(kindOfErrno(code), `cannot ${what}: ${error.message}`, { code, cause: error });
  }
}
