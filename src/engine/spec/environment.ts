import { GantryError } from '#errors/index.ts';
import type { Container } from '../engine.ts';

export type Source = Container['provenance'][string];

/** Merges `NAME=value` lists; a later one wins, a bare NAME removes. Remembers where each came from. @throws GantryError invalid */
export function mergeEnv(
  lists: readonly (readonly [Source, readonly string[]])[],
  provenance: Record<string, Source>,
): readonly string[] {
  const merged = new Map<string, string>();
  for (const [source, list] of lists) {
    for (const entry of list) {
      const at = entry.indexOf('=');
      const name = at < 0 ? entry : entry.slice(0, at);
      if (name === '') throw new GantryError('invalid', `invalid environment variable: ${entry}`);
      if (at < 0) {
        merged.delete(name);
        delete provenance[`process.env[${name}]`];
      } else {
        merged.set(name, entry);
        provenance[`process.env[${name}]`] = source;
      }
    }
  }
  return [...merged.values()];
}
