import type { Readable } from 'node:stream';
import type { ImageRunConfig, Platform } from '#oci/index.ts';
import { canonicalJson } from './canonical-json.ts';
import type { Deps } from './deps.ts';
import { inflate } from './inflate.ts';
import { tagKey, tagReference } from './names.ts';
import { hostPlatform } from './platform.ts';
import { composeImage, keepImage, storeLayer } from './store-image.ts';

export interface ImportOptions {
  readonly reference?: string;
  readonly message?: string;
  readonly changes?: Partial<ImageRunConfig>;
  readonly platform?: Platform;
  readonly signal?: AbortSignal;
}

/** Makes a root filesystem tar the one layer of a new image. Resolves with the manifest's digest. */
export async function importRootfs(deps: Deps, source: Readable, options: ImportOptions): Promise<string> {
  const tags = options.reference === undefined ? [] : [tagKey(tagReference(options.reference))];
  const { layer, release } = await storeLayer(deps, inflate(source), options.signal);
  try {
    const { os, architecture, variant } = options.platform ?? hostPlatform();
    const created = new Date().toISOString();
    const config = canonicalJson({
      created,
      os,
      architecture,
      variant,
      config: options.changes ?? {},
      rootfs: { type: 'layers', diff_ids: [layer.diffId] },
      history: [{ created, comment: options.message ?? 'Imported from -' }],
    });
    const image = composeImage(config, [layer.descriptor], options.reference ?? 'the imported image');
    return await keepImage(deps, image, tags, { signal: options.signal });
  } finally {
    release();
    await deps.collector.blobs([layer.descriptor.digest]);
  }
}
