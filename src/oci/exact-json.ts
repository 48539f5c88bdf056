/** JSON whose whole numbers keep all 64 bits: those beyond 2^53 are bigints (seccomp arguments, limits of 2^63 - 1). */
interface Source {
  readonly source?: string;
}

/**
 * As JSON.parse, but a whole number that a double cannot hold becomes a bigint.
 * @param revive as JSON.parse's, after that
 * @throws SyntaxError
 */
export function parseExactJson(text: string, revive: (key: string, value: unknown) => unknown = (_, v) => v): unknown {
  return JSON.parse(text, (key: string, value: unknown, context?: Source) => {
    const source = context?.source ?? '';
    const large = typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(source);
    return revive(key, large ? BigInt(source) : value);
  });
}

const raw = (text: string): unknown => (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text);

/** As JSON.stringify, with every digit of a bigint. */
export const exactJson = (value: unknown): string =>
  JSON.stringify(value, (_, entry: unknown) => (typeof entry === 'bigint' ? raw(String(entry)) : entry));
