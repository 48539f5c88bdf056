import type { RequestOptions } from '#distribution/index.ts';
import { GantryError } from '#errors/index.ts';
import { type Descriptor, familiarReference, type Platform, parseReference } from '#oci/index.ts';
import { parseConfigDocument } from './config-document.ts';
import type { Deps } from './deps.ts';
import { downloadBlob } from './download.ts';
import { matches } from './image-document.ts';
import { parseManifestDocument } from './manifest-document.ts';

const largestConfig = 8 << 20;

/** What a registry has under a name: its manifest or index, and the platforms in it. Nothing is kept of it. */
export async function inspectRemote(
  { registry }: Pick<Deps, 'registry'>,
  reference: string,
  request: RequestOptions,
): Promise<{ readonly descriptor: Descriptor; readonly platforms: readonly Platform[] }> {
  const ref = parseReference(reference);
  const what = familiarReference(ref);
  const { bytes, digest, mediaType } = await registry.getManifest(ref, request);
  const document = parseManifestDocument(bytes, mediaType, what);
  const descriptor = { mediaType: document.mediaType, digest, size: bytes.length };
  if (document.kind === 'index')
    return { descriptor, platforms: document.index.manifests.flatMap(({ platform }) => platform ?? []) };
  const { config } = document.manifest;
  if (config.size > largestConfig)
    throw new GantryError(
      'exhausted',
      `the config of ${what} has ${config.size} bytes; at most ${largestConfig} are read`,
    );
  const text = Buffer.concat(await Array.fromAsync(downloadBlob(registry, ref, config, request)));
  if (!matches(text, config))
    throw new GantryError('corrupt', `${ref.registry} sent a config that does not match ${config.digest}`, {
      code: 'digest-mismatch',
    });
  const { os, architecture, variant } = parseConfigDocument(text, what);
  return { descriptor, platforms: [{ os, architecture, ...(variant === undefined ? {} : { variant }) }] };
}
