import { gzipSync } from 'node:zlib';
import { chainIdOf, digestOf, mediaTypes } from '#oci/index.ts';
import { packEntries, type TarSource } from '#tar/index.ts';
import type { RegistryServer } from './registry-server.ts';

export interface SampleLayer {
  readonly tar: Buffer;
  readonly blob: Buffer;
  readonly digest: string;
  readonly diffId: string;
}

/** A tar of files: name → content. */
export async function tarOf(files: Readonly<Record<string, string | Uint8Array>>): Promise<Buffer> {
  const entries = Object.entries(files).map(
    ([name, content]): TarSource => ({ header: { name, type: 'file' }, body: Buffer.from(content) }),
  );
  return Buffer.concat(await Array.fromAsync(packEntries(entries)));
}

export async function sampleLayer(
  files: Readonly<Record<string, string | Uint8Array>>,
  compress: (tar: Buffer) => Buffer = (tar) => gzipSync(tar),
): Promise<SampleLayer> {
  const tar = await tarOf(files);
  const blob = compress(tar);
  return { tar, blob, digest: digestOf(blob), diffId: digestOf(tar) };
}

export interface SampleImage {
  readonly id: string;
  readonly digest: string;
  readonly manifest: Buffer;
  readonly config: Buffer;
  readonly chainIds: readonly string[];
}

/** Puts an image of these layers into a registry, as a publisher would have. */
export function publish(
  server: RegistryServer,
  name: string,
  tag: string,
  layers: readonly SampleLayer[],
  options: { readonly diffIds?: readonly string[]; readonly mediaType?: string; readonly architecture?: string } = {},
): SampleImage {
  const { blobs, manifests } = server.repository(name);
  const diffIds = options.diffIds ?? layers.map(({ diffId }) => diffId);
  const config = Buffer.from(
    JSON.stringify({
      architecture: options.architecture ?? (process.arch === 'arm64' ? 'arm64' : 'amd64'),
      os: 'linux',
      config: { Cmd: ['sh'], Env: null },
      rootfs: { type: 'layers', diff_ids: diffIds },
    }),
  );
  const mediaType = options.mediaType ?? mediaTypes.ociManifest;
  const oci = mediaType === mediaTypes.ociManifest;
  const manifest = Buffer.from(
    JSON.stringify(
      {
        schemaVersion: 2,
        mediaType,
        config: {
          mediaType: oci ? mediaTypes.ociConfig : mediaTypes.dockerConfig,
          digest: digestOf(config),
          size: config.length,
        },
        layers: layers.map(({ digest, blob }) => ({
          mediaType: oci ? mediaTypes.ociLayerGzip : mediaTypes.dockerLayerGzip,
          digest,
          size: blob.length,
        })),
      },
      undefined,
      3, // as some publishers write it: the bytes matter, not the document
    ),
  );
  blobs.set(digestOf(config), config);
  for (const { digest, blob } of layers) blobs.set(digest, blob);
  const digest = digestOf(manifest);
  manifests.set(tag, { mediaType, bytes: manifest });
  manifests.set(digest, { mediaType, bytes: manifest });
  const chainIds = diffIds.map((_, i) => chainIdOf(diffIds.slice(0, i + 1)) ?? '');
  return { id: digestOf(config), digest, manifest, config, chainIds };
}
