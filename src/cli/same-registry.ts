import { parseReference, type Reference } from '#oci/index.ts';
import { Failure } from './failure.ts';
import type { ManifestEntry } from './manifest-entry.ts';

/** A list can only name what its own registry has. @throws Failure naming both */
export function sameRegistry(list: Reference, entries: readonly ManifestEntry[]): void {
  for (const { ref } of entries) {
    const { registry } = parseReference(ref);
    if (registry !== list.registry)
      throw new Failure(
        `cannot use source images from a different registry than the target image: ${registry} != ${list.registry}`,
        1,
      );
  }
}
