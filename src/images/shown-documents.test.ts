import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '#oci/index.ts';
import { imageDocument } from './image-document.ts';
import { createShownDocuments } from './shown-documents.ts';

const json = (value: unknown) => Buffer.from(JSON.stringify(value));

/** An image without layers, whose config has `bytes` bytes and more. */
function documentOf(author: string, bytes = 0) {
  const rootfs = { type: 'layers', diff_ids: [] };
  const config = json({ architecture: 'amd64', os: 'linux', author, padding: 'x'.repeat(bytes), rootfs });
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const descriptor = {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    digest: digestOf(config),
    size: config.length,
  };
  const manifest = json({ schemaVersion: 2, mediaType, config: descriptor, layers: [] });
  return imageDocument({ bytes: manifest, mediaType }, config, author);
}

function shelf(documents: readonly ReturnType<typeof documentOf>[]) {
  const held = new Map(documents.map((document) => [document.descriptor.digest, document]));
  const read: string[] = [];
  const shown = createShownDocuments((digest) => {
    read.push(digest);
    return held.get(digest);
  });
  return { held, read, shown };
}

test('a document is read once, and again after it was forgotten', () => {
  const ana = documentOf('ana');
  const { digest } = ana.descriptor;
  const { held, read, shown } = shelf([ana]);
  assert.equal(shown.of(digest)?.config.author, 'ana');
  assert.equal(shown.of(digest)?.id, ana.manifest.config.digest);
  assert.deepEqual(read, [digest]);
  held.delete(digest);
  shown.forget(digest);
  assert.equal(shown.of(digest), undefined);
  assert.equal(shown.of(digest), undefined, 'that there is none is not kept');
  held.set(digest, ana);
  assert.equal(shown.of(digest)?.config.author, 'ana');
});

test('what the budget has no room for is read each time, and has room when another was forgotten', () => {
  const [first, second] = [documentOf('first', 5 << 20), documentOf('second', 5 << 20)];
  const { read, shown } = shelf([first, second]);
  for (let round = 0; round < 2; round++)
    for (const { descriptor } of [first, second]) assert.ok(shown.of(descriptor.digest));
  assert.deepEqual(
    read,
    [first, second, second].map(({ descriptor }) => descriptor.digest),
  );
  shown.forget(first.descriptor.digest);
  shown.of(second.descriptor.digest);
  shown.of(second.descriptor.digest);
  assert.equal(read.length, 4);
});
