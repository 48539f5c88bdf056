/** JSON whose whole numbers keep all 64 bits: those beyond 2^53 are bigints (seccomp arguments, limits of 2^63 - 1). */
interface Source {
  readonly source?: string;
}

/**
 * As JSON.parse, but a whole number that a double cannot hold becomes a bigint.
 * @param revive as JSON.parse's, after that
 * @throws SyntaxError
 */
export function parseExactJson(text: string, revive?: (key: string, value: unknown) => unknown): unknown {
  // Without sixteen digits in a row no number is that large; a reviver costs more than all the rest.
  if (!/\d{16}/.test(text)) return JSON.parse(text, revive);
  return JSON.parse(text, (key: string, value: unknown, context?: Source) => {
    const source = context?.source ?? '';
    const large = typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(source);
    const exact = large ? BigInt(source) : value;
    return revive === undefined ? exact : revive(key, exact);
  });
}

const raw = (text: string): unknown => (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text);

/** As JSON.stringify, with every digit of a bigint. */
export function exactJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    // It holds a bigint; telling each value's kind takes several times as long.
    return JSON.stringify(value, (_, entry: unknown) => (typeof entry === 'bigint' ? raw(String(entry)) : entry));
  }
}
