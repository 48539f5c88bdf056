import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { type Descriptor, digestOf, type ImageRunConfig, mediaTypes, type Platform } from '#oci/index.ts';
import { canonicalJson } from './canonical-json.ts';
import type { Deps } from './deps.ts';
import { gzipMembers } from './gzip-members.ts';
import { type Compression, compressionOf } from './inflate.ts';
import { streamLayer } from './layer-pass.ts';
import { tagKey, tagReference } from './names.ts';
import { peek } from './peek.ts';
import { hostPlatform } from './platform.ts';
import { stagedFile } from './staged-file.ts';
import { composeImage, keepImage } from './store-image.ts';

export interface ImportOptions {
  readonly reference?: string;
  readonly message?: string;
  readonly changes?: Partial<ImageRunConfig>;
  readonly platform?: Platform;
  readonly signal?: AbortSignal;
}

const layerType: Readonly<Record<Compression, string>> = {
  gzip: mediaTypes.ociLayerGzip,
  zstd: mediaTypes.ociLayerZstd,
  none: mediaTypes.ociLayerGzip, // it is compressed here
};

/**
 * Makes a root filesystem tar the one layer of a new image, in one pass: what comes compressed is kept as it came, and
 * unpacked on the way. Resolves with the manifest's digest.
 */
export async function importRootfs(deps: Deps, source: Readable, options: ImportOptions): Promise<string> {
  const { content, driver, table } = deps;
  const tags = options.reference === undefined ? [] : [tagKey(tagReference(options.reference))];
  const { head, whole } = await peek(source, 512);
  const compression = compressionOf(head);
  const abortable = options.signal === undefined ? {} : { signal: options.signal };
  const file = stagedFile(content.staging);
  // What it will be called is known when all of it has been read. Its row is there first, so that a crash leaves no stray.
  const scratch = digestOf(randomBytes(32));
  await using work = await deps.begin([]);
  const release = await deps.leases.hold([scratch]);
  try {
    table.putLayer(scratch, 0);
    const writer = await driver.prepareLayer(scratch, undefined);
    let layer: Descriptor;
    let diffId: string;
    try {
      const streamed = await streamLayer({
        ...abortable,
        source: compression === 'none' ? gzipMembers(whole) : whole,
        keep: { file, have: 0 },
        unpack: (tar) => writer.unpack(tar, abortable),
      });
      if (streamed.failure !== undefined) throw streamed.failure.error;
      ({ diffId } = streamed);
      layer = { mediaType: layerType[compression], ...streamed.blob };
      await work.holdBlobs([layer.digest]);
      await work.holdLayers([{ descriptor: layer, diffId, chainId: diffId, parent: undefined }]);
      await writer.commit();
      await deps.layers.settle(scratch, diffId, streamed.size ?? 0);
    } catch (error) {
      await writer.abort();
      throw error;
    }
    await content.adopt(file, layer);
    table.putDiffId(layer.digest, diffId);
    const { os, architecture, variant } = options.platform ?? hostPlatform();
    const created = new Date().toISOString();
    const config = canonicalJson({
      created,
      os,
      architecture,
      variant,
      config: options.changes ?? {},
      rootfs: { type: 'layers', diff_ids: [diffId] },
      history: [{ created, comment: options.message ?? 'Imported from -' }],
    });
    const image = composeImage(config, [layer], options.reference ?? 'the imported image');
    return await keepImage(deps, image, tags, abortable);
  } finally {
    release();
    await rm(file, { force: true });
    if (table.hasLayer(scratch)) await deps.collector.layers([scratch]);
  }
}
