import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { after, test } from 'node:test';
import { digestOf, mediaTypes } from '#oci/index.ts';
import { createContentStore } from './index.ts';

const base = mkdtempSync('/tmp/gantry-content-');
after(() => rmSync(base, { recursive: true, force: true }));
let roots = 0;
const newRoot = (): string => `${base}/${++roots}`;

async function* chunks(...parts: (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield Buffer.from(part);
}

async function textOf(source: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts).toString();
}

const blobsIn = (root: string): string[] => readdirSync(`${root}/blobs/sha256`);
const stagedIn = (root: string): string[] => readdirSync(`${root}/staging`);

test('createContentStore keeps blobs where an OCI image layout has them, and finds them again', async () => {
  const root = newRoot();
  const store = await createContentStore({ root });
  const blob = await store.ingest(chunks('hel', 'lo'));
  assert.deepEqual(blob, { digest: digestOf('hello'), size: 5 });
  assert.equal(readFileSync(`${root}/blobs/sha256/${blob.digest.slice(7)}`, 'utf8'), 'hello');
  assert.deepEqual(JSON.parse(readFileSync(`${root}/oci-layout`, 'utf8')), { imageLayoutVersion: '1.0.0' });
  assert.deepEqual(JSON.parse(readFileSync(`${root}/index.json`, 'utf8')).manifests, []);
  const manifest = { mediaType: mediaTypes.ociManifest, digest: blob.digest, size: 5 };
  await store.writeIndex([manifest]);

  const again = await createContentStore({ root });
  assert.deepEqual(await again.stat(blob.digest), { size: 5 });
  assert.deepEqual(JSON.parse(readFileSync(`${root}/index.json`, 'utf8')), {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [manifest],
  });
  assert.equal(String(await again.read(blob.digest)), 'hello');
  assert.equal(await textOf(await again.open(blob.digest)), 'hello');
  assert.equal(await textOf(await again.open(blob.digest, { start: 1, end: 3 })), 'ell');
});

test('ingest keeps nothing of a blob that is not what was expected', async () => {
  const root = newRoot();
  const store = await createContentStore({ root });
  const digest = digestOf('hello');
  await assert.rejects(store.ingest(chunks('hullo'), { digest, size: 5 }), {
    kind: 'corrupt',
    code: 'digest-mismatch',
  });
  await assert.rejects(store.ingest(chunks('hell'), { digest, size: 5 }), { kind: 'corrupt', code: 'size-mismatch' });
  await assert.rejects(store.ingest(chunks('hello', ' and more'), { digest, size: 5 }), { code: 'size-mismatch' });
  await assert.rejects(store.ingest(chunks('x'), { digest: 'sha256:xyz' }), { kind: 'invalid' });
  const broken = (async function* () {
    yield Buffer.from('hel');
    throw new Error('connection reset');
  })();
  await assert.rejects(store.ingest(broken, { digest }), /connection reset/);
  assert.deepEqual([blobsIn(root), stagedIn(root)], [[], []]);
  const sha512 = `sha512:${createHash('sha512').update('hello').digest('hex')}`;
  assert.deepEqual(await store.ingest(chunks('hello'), { digest: sha512 }), { digest: sha512, size: 5 });
});

test('ingest stops reading a source that is longer than was said', async () => {
  const store = await createContentStore({ root: newRoot() });
  let pulled = 0;
  const endless = (async function* () {
    for (;;) {
      pulled++;
      yield Buffer.alloc(1000);
    }
  })();
  await assert.rejects(store.ingest(endless, { size: 2500 }), { code: 'size-mismatch' });
  assert.ok(pulled < 10, `${pulled} chunks`);
});

test('ingest is cancelled even while its source hangs, and leaves nothing', async () => {
  const root = newRoot();
  const store = await createContentStore({ root });
  const controller = new AbortController();
  const hanging = (async function* () {
    yield Buffer.from('first');
    setImmediate(() => controller.abort());
    await new Promise(() => undefined);
  })();
  await assert.rejects(store.ingest(hanging, {}, { signal: controller.signal }), { kind: 'cancelled' });
  await assert.rejects(store.ingest(chunks('x'), {}, { signal: controller.signal }), { kind: 'cancelled' });
  assert.deepEqual([blobsIn(root), stagedIn(root)], [[], []]);
});

test('the same blob may come several times at once', async () => {
  const root = newRoot();
  const store = await createContentStore({ root });
  const bytes = randomBytes(300_000);
  const digest = digestOf(bytes);
  const results = await Promise.all(
    Array.from({ length: 8 }, () => store.ingest(chunks(bytes.subarray(0, 1000), bytes.subarray(1000)), { digest })),
  );
  assert.ok(results.every((blob) => blob.digest === digest && blob.size === bytes.length));
  assert.deepEqual([blobsIn(root), stagedIn(root)], [[digest.slice(7)], []]);
  assert.ok((await store.read(digest)).equals(bytes));
});

test('adopt takes a file in, also where the blob is there already; one of another size is refused', async () => {
  const root = newRoot();
  const store = await createContentStore({ root });
  const digest = digestOf('hello');
  for (let i = 0; i < 2; i++) {
    writeFileSync(`${store.staging}/upload`, 'hello');
    await store.adopt(`${store.staging}/upload`, { digest, size: 5 });
    assert.deepEqual([blobsIn(root), stagedIn(root)], [[digest.slice(7)], []]);
  }
  writeFileSync(`${store.staging}/upload`, 'hell');
  await assert.rejects(store.adopt(`${store.staging}/upload`, { digest, size: 5 }), { code: 'size-mismatch' });
  await assert.rejects(store.adopt(`${store.staging}/missing`, { digest, size: 5 }), { kind: 'not-found' });
  assert.equal(String(await store.read(digest)), 'hello');
});

test('what is not there is named; delete is idempotent; list has every blob', async () => {
  const store = await createContentStore({ root: newRoot() });
  const digest = digestOf('nothing');
  assert.equal(await store.stat(digest), undefined);
  await assert.rejects(store.open(digest), { kind: 'not-found', message: new RegExp(digest) });
  await assert.rejects(store.read(digest), { kind: 'not-found' });
  assert.throws(() => store.path('sha256:../../etc/passwd'), { kind: 'invalid' });
  const kept = await Promise.all(['a', 'bb', 'ccc'].map((text) => store.ingest(chunks(text))));
  const gone = await store.ingest(chunks('gone'));
  await store.delete(gone.digest);
  await store.delete(gone.digest);
  const listed: { digest: string; size: number }[] = [];
  for await (const blob of store.list()) listed.push(blob);
  assert.deepEqual(
    listed.toSorted((a, b) => a.size - b.size),
    kept,
  );
});

test('read refuses a blob too large to hold at once', async () => {
  const store = await createContentStore({ root: newRoot() });
  const { digest } = await store.ingest(chunks(Buffer.alloc((8 << 20) + 1)));
  await assert.rejects(store.read(digest), { kind: 'exhausted' });
});

test('createContentStore sweeps from staging what is older than a day, and keeps the rest for who resumes', async () => {
  const root = newRoot();
  mkdirSync(`${root}/staging/old-directory`, { recursive: true });
  for (const name of ['old', 'young']) writeFileSync(`${root}/staging/${name}`, name);
  const twoDaysAgo = Date.now() / 1000 - 2 * 24 * 3600;
  for (const name of ['old', 'old-directory']) utimesSync(`${root}/staging/${name}`, twoDaysAgo, twoDaysAgo);
  await createContentStore({ root });
  assert.deepEqual(stagedIn(root), ['young']);
});

test('createContentStore says where it cannot be', async () => {
  const root = newRoot();
  writeFileSync(root, 'a file');
  await assert.rejects(createContentStore({ root }), { message: new RegExp(`cannot open the content store ${root}`) });
  assert.ok(existsSync(root));
});
