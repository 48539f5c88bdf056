import { listOf } from './options.ts';

/** `-f key=value`, as every listing has it. */
export const filterOption = (help = 'Filter output based on conditions provided') =>
  listOf(
    (written): readonly [key: string, value: string] => {
      const at = written.indexOf('=');
      if (at < 1) throw new Error('bad format of filter (expected name=value)');
      return [written.slice(0, at).trim().toLowerCase(), written.slice(at + 1).trim()];
    },
    help,
    { short: 'f', label: 'filter' },
  );

/** Filters as the API takes them; undefined where there are none. */
export function filtersOf(filters: readonly (readonly [key: string, value: string])[]): string | undefined {
  if (filters.length === 0) return undefined;
  const groups = Map.groupBy(filters, ([key]) => key);
  return JSON.stringify(Object.fromEntries([...groups].map(([key, all]) => [key, all.map(([, value]) => value)])));
}
