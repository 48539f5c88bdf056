import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GantryError } from '#errors/index.ts';
import { digestOf, mediaTypes } from '#oci/index.ts';
import { imageFacts } from './image-facts.ts';
import type { Manifests, StoredManifest } from './manifests.ts';

const repository = { id: 1, name: 'ana/x', owner: 1, private: false, immutable: false, updated: 0 };

/** What a repository answers that holds these documents, as strangers pushed them. */
function facts(documents: Readonly<Record<string, string>>, mediaType: string = mediaTypes.ociManifest) {
  const textOf = (digest: string): string => {
    const text = documents[digest];
    if (text === undefined) throw new GantryError('not-found', digest);
    return text;
  };
  const stored = (reference: string): StoredManifest => ({
    digest: reference,
    mediaType,
    size: textOf(reference).length,
    imageSize: 1000,
  });
  const manifests: Pick<Manifests, 'find' | 'read' | 'tagsOf'> = {
    find: async (_repository, reference) => stored(reference),
    read: async ({ digest }) => Buffer.from(textOf(digest)),
    tagsOf: async () => ['v1'],
  };
  const blobs = { read: async (_repository: unknown, digest: string) => Buffer.from(textOf(digest)) };
  return imageFacts({ manifests, blobs }, repository, 'm');
}
const digest = digestOf('config');
const layer = (size: number) => ({ digest: digestOf(String(size)), mediaType: mediaTypes.ociLayer, size });

test('imageFacts puts each layer beside the instruction that made it', async () => {
  const config = {
    os: 'linux',
    architecture: 'arm64',
    variant: 'v8',
    config: { Env: ['A=b'] },
    history: [
      { created_by: 'ADD rootfs' },
      { created_by: 'ENV A=b', empty_layer: true },
      { created_by: 'RUN make', created: '2026-01-01T00:00:00Z' },
    ],
  };
  const manifest = { config: { digest }, layers: [layer(1), layer(2), layer(3)], annotations: { a: 'b', bad: 1 } };
  const found = await facts({ m: JSON.stringify(manifest), [digest]: JSON.stringify(config) });
  const steps = found.steps.map(({ instruction, layer: made }) => `${instruction} ${made?.size ?? '-'}`.trim());
  assert.deepEqual(steps, ['ADD rootfs 1', 'ENV A=b -', 'RUN make 2', '3']);
  assert.deepEqual(found.platforms, [{ digest: 'm', platform: 'linux/arm64/v8', size: 1000 }]);
  assert.deepEqual(found.annotations, { a: 'b' });
  assert.deepEqual(found.config, { Env: ['A=b'] });
});

test('imageFacts leaves out what is malformed, whatever strangers pushed', async () => {
  for (const config of [
    'not JSON',
    '[]',
    '{"history": 5, "os": {}, "config": "x"}',
    '{"history": [null, 7, {"created_by": []}]}',
  ]) {
    const found = await facts({ m: JSON.stringify({ config: { digest }, layers: 'none' }), [digest]: config });
    assert.deepEqual(found.config, {});
    assert.deepEqual(found.platforms, []);
    assert.ok(found.steps.every(({ instruction }) => instruction === ''));
  }
  const absent = await facts({ m: JSON.stringify({ config: { digest }, layers: [] }) });
  assert.deepEqual(absent.steps, []);
});

test('imageFacts tells of an index what it offers, with the sizes of what is here', async () => {
  const child = digestOf('child');
  const manifests = [
    { digest: child, platform: { os: 'linux', architecture: 'amd64' } },
    { digest: digestOf('absent') },
    { digest: 'nonsense' },
    null,
  ];
  const found = await facts({ m: JSON.stringify({ manifests }), [child]: '{}' }, mediaTypes.ociIndex);
  assert.deepEqual(
    found.platforms.map(({ platform, size }) => `${platform} ${size}`),
    ['linux/amd64 1000', 'unknown 0'],
  );
});
