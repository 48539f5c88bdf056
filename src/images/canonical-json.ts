type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const sorted = (value: unknown): Json => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value as Json;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(
    entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)]),
  );
};

/** JSON with sorted keys and no white space, so that equal documents have equal digests. */
export const canonicalJson = (value: object): Buffer => Buffer.from(JSON.stringify(sorted(value)));
