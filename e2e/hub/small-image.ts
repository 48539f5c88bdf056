import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mediaTypes } from '#oci/index.ts';
import type { Ask } from './hub-under-test.ts';

export interface Blob {
  readonly bytes: Buffer<ArrayBuffer>;
  readonly digest: string;
}

export const blobOf = (content: string | Buffer, algorithm = 'sha256'): Blob => {
  const bytes = Buffer.from(content);
  return { bytes, digest: `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` };
};

const descriptor = (mediaType: string, { bytes, digest }: Blob) => ({ mediaType, digest, size: bytes.length });

/** An image of one layer that holds `text` (nobody unpacks it here). */
export function smallImage(text: string, more: Readonly<Record<string, unknown>> = {}) {
  const layer = blobOf(text);
  const config = blobOf(
    JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [layer.digest] } }),
  );
  const manifest = blobOf(
    `${JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: descriptor(mediaTypes.ociConfig, config),
      layers: [descriptor(mediaTypes.ociLayer, layer)],
      ...more,
    })}\n`,
  );
  return { layer, config, manifest };
}

export const smallIndex = (manifests: readonly Blob[]): Blob =>
  blobOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: manifests.map((manifest) => descriptor(mediaTypes.ociManifest, manifest)),
    }),
  );

export const putBlob = (ask: Ask, repository: string, { bytes, digest }: Blob): Promise<Response> =>
  ask('POST', `/v2/${repository}/blobs/uploads/?digest=${digest}`, { body: bytes });

export const putManifest = (
  ask: Ask,
  repository: string,
  reference: string,
  { bytes }: Blob,
  type: string = mediaTypes.ociManifest,
): Promise<Response> =>
  ask('PUT', `/v2/${repository}/manifests/${reference}`, {
    body: bytes,
    headers: { 'content-type': type },
  });

/** Pushes an image as a client does, and gives it back. */
export async function pushImage(ask: Ask, repository: string, tag: string, image = smallImage(`${repository}:${tag}`)) {
  for (const blob of [image.layer, image.config]) {
    const { status } = await putBlob(ask, repository, blob);
    assert.equal(status, 201);
  }
  const { status } = await putManifest(ask, repository, tag, image.manifest);
  assert.equal(status, 201);
  return image;
}
