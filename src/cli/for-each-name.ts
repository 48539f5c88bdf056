import { errorText, Failure } from './failure.ts';
import { writeError, writeOut } from './output.ts';

/**
 * Does one thing to each of several objects, as `stop a b c` does. When its turn is done, what `act` returns is printed:
 * undefined stands for the name itself, null for nothing. Failures are printed as they come.
 * @returns the exit code: 1 where any failed
 */
export async function forEachName(
  names: readonly string[],
  act: (name: string) => Promise<string | undefined | null>,
  summary?: (failed: readonly string[]) => string,
): Promise<number> {
  const failed: string[] = [];
  for (const name of names) {
    try {
      const shown = await act(name);
      if (shown !== null) writeOut(`${shown ?? name}\n`);
    } catch (error) {
      if (error instanceof Failure) throw error;
      failed.push(name);
      writeError(`${errorText(error)}\n`);
    }
  }
  if (failed.length > 0 && summary !== undefined) writeError(`${summary(failed)}\n`);
  return failed.length > 0 ? 1 : 0;
}
