import { Failure } from './failure.ts';

/** `--filter key=value` flags as the API takes them. @throws Failure for one without `=` */
export function filtersOf(filters: readonly string[]): string | undefined {
  if (filters.length === 0) return undefined;
  const byKey: Record<string, string[]> = {};
  for (const filter of filters) {
    const at = filter.indexOf('=');
    if (at < 1)
      throw new Failure(
        `invalid argument "${filter}" for "-f, --filter" flag: invalid filter '${filter}'; expected key=value`,
        125,
      );
    const key = filter.slice(0, at).trim().toLowerCase();
    byKey[key] = [...(byKey[key] ?? []), filter.slice(at + 1).trim()];
  }
  return JSON.stringify(byKey);
}
