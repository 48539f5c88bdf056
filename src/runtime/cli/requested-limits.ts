import type { Resources } from '#oci/index.ts';

/** Where 0 is a value like any other. */
const meantAsZero: ReadonlySet<string> = new Set(['swappiness', 'idle']);

const asksForNothing = (name: string, value: unknown): boolean =>
  value === '' || (value === 0 && !meantAsZero.has(name)) || (Array.isArray(value) && value.length === 0);

/** Without what asks for nothing; undefined where nothing is left. */
function filled<T extends object>(part: T): T | undefined {
  const entries = Object.entries(part).filter(([name, value]) => !asksForNothing(name, value));
  return entries.length === 0 ? undefined : (Object.fromEntries(entries) as T);
}

/** Limits as engines write them: 0, an empty string or list stand for "nothing asked", as in runc. */
export function requestedLimits(resources: Resources): Resources {
  const { memory = {}, cpu = {}, pids = {}, blockIO = {}, ...others } = resources;
  const groups = Object.entries({ memory, cpu, pids, blockIO }).flatMap(([name, group]) => {
    const asked = filled(group);
    return asked === undefined ? [] : [[name, asked]];
  });
  return { ...filled(others), ...(Object.fromEntries(groups) as Resources) };
}
