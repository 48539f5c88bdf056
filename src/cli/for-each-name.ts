import { errorText, Failure } from './failure.ts';
import { writeError, writeOut } from './output.ts';

/**
 * Does one thing to each of several objects, as `stop a b c` does: prints each name when its turn is done, each
 * failure as it comes, and ends with exit code 1 where any failed.
 */
export async function forEachName(
  names: readonly string[],
  act: (name: string) => Promise<string | undefined>,
): Promise<number> {
  let failed = false;
  for (const name of names) {
    try {
      writeOut(`${(await act(name)) ?? name}\n`);
    } catch (error) {
      if (error instanceof Failure) throw error;
      failed = true;
      writeError(`${errorText(error)}\n`);
    }
  }
  return failed ? 1 : 0;
}
