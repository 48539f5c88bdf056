import { listOf } from './options.ts';

/** `-f key=value`, as every listing has it. */
export const filterOption = (help = 'Filter output based on conditions provided') => filters(help, { short: 'f' });

/** `--filter key=value` of the prunes, whose -f forces. */
export const pruneFilterOption = (help: string) => filters(help, {});

const filters = (help: string, shape: { readonly short?: string }) =>
  listOf(filterOf, help, { ...shape, label: 'filter' });

function filterOf(written: string): readonly [key: string, value: string] {
  const at = written.indexOf('=');
  if (at < 1) throw new Error('bad format of filter (expected name=value)');
  return [written.slice(0, at).trim().toLowerCase(), written.slice(at + 1).trim()];
}

/** A prune's own filters, and those that the client's configuration adds to every prune. @throws Failure */
export const withPruneFilters = (
  asked: readonly (readonly [key: string, value: string])[],
  configured: readonly string[] = [],
) => [...asked, ...configured.map(filterOf)];

/** Filters as the API takes them; undefined where there are none. */
export function filtersOf(filters: readonly (readonly [key: string, value: string])[]): string | undefined {
  if (filters.length === 0) return undefined;
  const groups = Map.groupBy(filters, ([key]) => key);
  return JSON.stringify(Object.fromEntries([...groups].map(([key, all]) => [key, all.map(([, value]) => value)])));
}
