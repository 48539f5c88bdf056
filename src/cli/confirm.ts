import { Failure } from './failure.ts';
import { askLine } from './prompt.ts';
import { isTerminal } from './terminal.ts';

/** Asks before something is removed. @throws Failure where nobody can answer */
export async function confirm(warning: string): Promise<boolean> {
  if (!isTerminal(0)) throw new Failure('this asks for confirmation, and nobody can answer: give --force', 1);
  const answer = await askLine(`WARNING! ${warning}\nAre you sure you want to continue? [y/N] `, { echo: true });
  return /^y(?:es)?$/i.test(answer.trim());
}
