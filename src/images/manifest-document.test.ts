import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf, mediaTypes } from '#oci/index.ts';
import { parseConfigDocument } from './config-document.ts';
import { chainOf } from './image-document.ts';
import { parseManifestDocument } from './manifest-document.ts';

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
const descriptor = (mediaType: string) => ({ mediaType, digest: digestOf(mediaType), size: 3 });
const manifest = {
  schemaVersion: 2,
  mediaType: mediaTypes.ociManifest,
  config: descriptor(mediaTypes.ociConfig),
  layers: [descriptor(mediaTypes.ociLayerGzip)],
};
const parse = (value: unknown, declared: string = mediaTypes.ociManifest) =>
  parseManifestDocument(bytes(value), declared, 'ana/hello:v1');

test('parseManifestDocument reads OCI and Docker manifests and indexes', () => {
  assert.equal(parse(manifest).kind, 'manifest');
  const docker = { ...manifest, mediaType: undefined, config: descriptor(mediaTypes.dockerConfig) };
  assert.equal(parse(docker, mediaTypes.dockerManifest).mediaType, mediaTypes.dockerManifest);
  assert.equal(parse({ schemaVersion: 2, manifests: [descriptor(mediaTypes.ociManifest)] }, '').kind, 'index');
});

test('parseManifestDocument refuses what is no image, and says what it is', () => {
  const refused = (value: unknown, error: object, declared?: string) =>
    assert.throws(() => parse(value, declared), error);
  refused({ schemaVersion: 1, fsLayers: [] }, { kind: 'unsupported', code: 'schema-1', message: /ana\/hello:v1/ });
  refused({ ...manifest, manifests: [] }, { kind: 'corrupt', message: /both as an index and as a manifest/ });
  refused(manifest, { kind: 'corrupt', message: /sent as/ }, mediaTypes.dockerManifest);
  refused({ ...manifest, config: descriptor('application/vnd.cncf.helm.config.v1+json') }, { code: 'not-an-image' });
  refused({ ...manifest, layers: [descriptor('text/plain')] }, { code: 'layer-type' });
  refused({ ...manifest, config: { ...manifest.config, digest: 'sha256:../../etc' } }, { kind: 'corrupt' });
  refused({ ...manifest, config: { ...manifest.config, size: -1 } }, { kind: 'corrupt' });
  refused({ ...manifest, layers: Array(128).fill(manifest.layers[0]) }, { kind: 'unsupported', message: /128 layers/ });
  refused([], { kind: 'corrupt' });
});

test('parseConfigDocument takes null for absent and refuses wrong types by name', () => {
  const config = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [digestOf('a')] } };
  const parsed = parseConfigDocument(bytes({ ...config, config: { Cmd: ['sh'], Env: null } }), 'x');
  assert.deepEqual(parsed.config, { Cmd: ['sh'] });
  const refused = (value: object, message: RegExp) =>
    assert.throws(() => parseConfigDocument(bytes(value), 'x'), { kind: 'corrupt', message });
  refused({ ...config, config: { Env: 'A=b' } }, /config\.Env/);
  refused({ ...config, config: { Healthcheck: { Test: [1] } } }, /Healthcheck\.Test/);
  refused({ ...config, rootfs: { type: 'layers', diff_ids: ['sha256:x'] } }, /not a diff id/);
  refused({ ...config, os: undefined }, /architecture or os/);
  assert.throws(() => chainOf([], parsed, 'x'), { code: 'layers-disagree' });
});
