import { frameError, type Word } from '#dockerfile/index.ts';

/** `--chmod`: an octal mode, or clauses of chmod(1) such as `u=rwX,go-w`. */
export type ModeChange = number | readonly ModeClause[];

interface ModeClause {
  /** Bits of the classes it is about: u 0o4700, g 0o2070, o 0o1007. */
  readonly who: number;
  readonly operation: '+' | '-' | '=';
  readonly permissions: string;
}

const classes: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o1007, a: 0o7777 };
const bits: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111, s: 0o6000, t: 0o1000 };

/** @throws GantryError invalid, as a code frame */
export function parseMode(text: string, word: Word): ModeChange {
  if (/^0?[0-7]{1,4}$/.test(text)) return Number.parseInt(text, 8);
  const clauses = text.split(',').map((clause): ModeClause => {
    const match = /^([ugoa]*)([-+=])([rwxXst]*)$/.exec(clause);
    if (match === null)
      throw frameError(word.span, `--chmod="${text}" is neither an octal mode (755) nor one such as u=rwX,go=rX`);
    const [, who = '', operation = '', permissions = ''] = match;
    return {
      who: [...(who === '' ? 'a' : who)].reduce((sum, one) => sum | (classes[one] ?? 0), 0),
      operation: operation as ModeClause['operation'],
      permissions,
    };
  });
  return clauses;
}

/** The mode that a file gets (chmod(1)); `X` is x for directories and for what somebody may run already. */
export function changedMode(mode: number, change: ModeChange | undefined, isDirectory: boolean): number {
  if (change === undefined) return mode;
  if (typeof change === 'number') return change;
  return change.reduce((now, { who, operation, permissions }) => {
    const asked = [...permissions].reduce(
      (sum, one) => sum | (one === 'X' ? (isDirectory || (now & 0o111) !== 0 ? 0o111 : 0) : (bits[one] ?? 0)),
      0,
    );
    const wanted = asked & who;
    if (operation === '+') return now | wanted;
    if (operation === '-') return now & ~wanted;
    return (now & ~who) | wanted;
  }, mode);
}
