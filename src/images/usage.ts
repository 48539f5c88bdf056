import type { Deps } from './deps.ts';
import type { ImagesUsage } from './images.ts';
import type { Lookup } from './lookup.ts';

/** What images take on the disk; what of each one others have as well. */
export async function usage(
  { content, table }: Deps,
  lookup: Lookup,
  layerBytes: ReadonlyMap<string, number>,
): Promise<ImagesUsage> {
  const bytes = new Map(layerBytes);
  const blobs = new Set<string>();
  const block = 4096;
  for await (const { digest, size } of content.list()) {
    blobs.add(digest);
    bytes.set(digest, Math.ceil(size / block) * block);
  }
  const partsOf = new Map<string, Set<string>>();
  for (const { digest, configDigest } of table.manifests()) {
    const parts = partsOf.get(configDigest) ?? new Set<string>();
    partsOf.set(configDigest, parts);
    const document = table.shown(digest);
    parts.add(digest).add(configDigest);
    for (const part of document?.layers ?? []) parts.add(part.digest);
    for (const chainId of document?.chainIds ?? []) parts.add(chainId);
  }
  const users = new Map<string, number>();
  for (const parts of partsOf.values()) for (const part of parts) users.set(part, (users.get(part) ?? 0) + 1);
  const sum = (parts: Iterable<string>) => [...parts].reduce((total, part) => total + (bytes.get(part) ?? 0), 0);
  return {
    total: sum(users.keys()),
    images: lookup.list().map((image) => {
      const parts = [...(partsOf.get(image.id) ?? [])];
      return { image, size: sum(parts), shared: sum(parts.filter((part) => (users.get(part) ?? 0) > 1)) };
    }),
    other: {
      layers: [...layerBytes.keys()].filter((chainId) => !users.has(chainId)),
      blobs: sum([...blobs].filter((digest) => !users.has(digest))),
    },
    blobs: sum(blobs),
  };
}
