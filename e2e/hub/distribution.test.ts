import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mediaTypes } from '#oci/index.ts';
import { type Ask, type HubUnderTest, hubUnderTest, refusal } from './hub-under-test.ts';
import { blobOf, pushImage, putBlob, putManifest, smallImage, smallIndex } from './small-image.ts';

let hub: HubUnderTest;
let ana: Ask;
before(async () => {
  hub = await hubUnderTest();
  ana = hub.basic('ana');
});
after(() => hub[Symbol.asyncDispose]());

const begin = async (repository: string): Promise<string> => {
  const response = await ana('POST', `/v2/${repository}/blobs/uploads/`);
  assert.equal(response.status, 202);
  assert.equal(response.headers.get('range'), '0-0');
  return response.headers.get('location') ?? assert.fail('no Location');
};
const chunk = (location: string, bytes: Buffer<ArrayBuffer>, range?: string) =>
  ana('PATCH', location, {
    body: bytes,
    headers: range === undefined ? {} : { 'content-range': range },
  });
const put = (location: string, digest: string, body?: Buffer<ArrayBuffer>) =>
  ana('PUT', `${location}?digest=${encodeURIComponent(digest)}`, body === undefined ? {} : { body: body });
const has = async (repository: string, digest: string) =>
  (await ana('HEAD', `/v2/${repository}/blobs/${digest}`)).status;

test('a manifest comes back byte for byte, by tag and by digest, with its headers', async () => {
  const { manifest } = await pushImage(ana, 'ana/exact', 'v1');
  for (const reference of ['v1', manifest.digest]) {
    const response = await ana('GET', `/v2/ana/exact/manifests/${reference}`);
    assert.equal(response.headers.get('content-type'), mediaTypes.ociManifest);
    assert.equal(response.headers.get('docker-content-digest'), manifest.digest);
    assert.deepEqual(Buffer.from(await response.arrayBuffer()), manifest.bytes);
    const head = await ana('HEAD', `/v2/ana/exact/manifests/${reference}`);
    assert.equal(head.headers.get('content-length'), String(manifest.bytes.length));
  }
  const known = { headers: { 'if-none-match': `"${manifest.digest}"` } };
  assert.equal((await ana('GET', '/v2/ana/exact/manifests/v1', known)).status, 304);
});

test('a blob goes up in one POST, in POST and PUT, in ordered chunks, and as a stream', async () => {
  const one = blobOf('in one');
  assert.equal((await putBlob(ana, 'ana/ways', one)).status, 201);

  const two = blobOf('post, put');
  const done = await put(await begin('ana/ways'), two.digest, two.bytes);
  assert.equal(done.status, 201);
  assert.equal(done.headers.get('location'), `/v2/ana/ways/blobs/${two.digest}`);

  const three = blobOf('0123456789');
  const location = await begin('ana/ways');
  const first = await chunk(location, three.bytes.subarray(0, 4), '0-3');
  assert.equal(`${first.status} ${first.headers.get('range')}`, '202 0-3');
  assert.equal((await chunk(location, three.bytes.subarray(4), '4-9')).headers.get('range'), '0-9');
  assert.equal((await put(location, three.digest)).status, 201);

  const four = blobOf('streamed in pieces');
  const streamed = await begin('ana/ways');
  const source = new ReadableStream({
    start(controller) {
      for (const byte of four.bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  assert.equal((await ana('PATCH', streamed, { body: source, duplex: 'half' })).status, 202);
  assert.equal((await put(streamed, four.digest)).status, 201);

  const five = blobOf('by sha512', 'sha512');
  assert.equal((await putBlob(ana, 'ana/ways', five)).status, 201);
  for (const { digest, bytes } of [one, two, three, four, five]) {
    const response = await ana('GET', `/v2/ana/ways/blobs/${digest}`);
    assert.deepEqual(Buffer.from(await response.arrayBuffer()), bytes);
    assert.equal(response.headers.get('docker-content-digest'), digest);
  }
});

test('a chunk out of order is refused and says where the upload stands; one that lies about its length leaves nothing', async () => {
  const location = await begin('ana/chunks');
  await chunk(location, Buffer.from('abc'), '0-2');
  const gap = await chunk(location, Buffer.from('xyz'), '5-7');
  assert.equal(gap.headers.get('range'), '0-2');
  assert.equal(await refusal(gap), '416 BLOB_UPLOAD_INVALID');
  assert.equal(await refusal(await chunk(location, Buffer.from('abc'), '0-2')), '416 BLOB_UPLOAD_INVALID');
  assert.equal(await refusal(await chunk(location, Buffer.from('d'), '3-9')), '400 SIZE_INVALID');
  assert.equal(await refusal(await chunk(location, Buffer.from('d'), 'three-3')), '400 BLOB_UPLOAD_INVALID');
  const status = await ana('GET', location);
  assert.equal(`${status.status} ${status.headers.get('range')}`, '204 0-2');
  const more = new Blob(['defg']).stream();
  const lies = { body: more, duplex: 'half', headers: { 'content-range': '3-4' } } as const;
  // The answer comes before the body is sent; fetch may see the connection end first.
  const answer = await ana('PATCH', location, lies).then(refusal, () => 'the connection ended');
  assert.match(answer, /^(400 SIZE_INVALID|the connection ended)$/);
  assert.equal((await ana('GET', location)).headers.get('range'), '0-2');
  assert.equal((await put(location, blobOf('abcde').digest, Buffer.from('de'))).status, 201);
});

test('a wrong digest keeps nothing, and an upload that is dropped or finished is gone', async () => {
  const right = blobOf('right');
  const location = await begin('ana/wrong');
  assert.equal(await refusal(await put(location, blobOf('other').digest, right.bytes)), '400 DIGEST_INVALID');
  assert.equal(await refusal(await ana('GET', location)), '404 BLOB_UPLOAD_UNKNOWN');
  const direct = await ana('POST', `/v2/ana/wrong/blobs/uploads/?digest=${blobOf('no').digest}`, { body: 'yes' });
  assert.equal(await refusal(direct), '400 DIGEST_INVALID');
  assert.equal(await refusal(await put(await begin('ana/wrong'), 'sha256:12')), '400 DIGEST_INVALID');
  assert.equal(await refusal(await ana('PUT', await begin('ana/wrong'))), '400 DIGEST_INVALID');
  for (const { digest } of [right, blobOf('other'), blobOf('yes')]) assert.equal(await has('ana/wrong', digest), 404);

  const dropped = await begin('ana/wrong');
  assert.equal((await ana('DELETE', dropped)).status, 204);
  assert.equal(await refusal(await chunk(dropped, Buffer.from('x'))), '404 BLOB_UPLOAD_UNKNOWN');
  assert.equal(await refusal(await ana('GET', '/v2/ana/wrong/blobs/uploads/..%2f..%2fhub.db')), '404 NAME_UNKNOWN');
});

test('parts of a blob are read by range', async () => {
  const blob = blobOf('0123456789');
  await putBlob(ana, 'ana/ranges', blob);
  const read = async (range: string) => {
    const response = await ana('GET', `/v2/ana/ranges/blobs/${blob.digest}`, { headers: { range } });
    return `${response.status} ${response.headers.get('content-range')} ${await response.text()}`;
  };
  assert.equal(await read('bytes=2-4'), '206 bytes 2-4/10 234');
  assert.equal(await read('bytes=7-'), '206 bytes 7-9/10 789');
  assert.equal(await read('bytes=-3'), '206 bytes 7-9/10 789');
  assert.equal(await read('bytes=0-99'), '206 bytes 0-9/10 0123456789');
  assert.match(await read('bytes=10-'), /^416 bytes \*\/10 /);
  assert.equal(await read('bytes=1-2,4-5'), '200 null 0123456789');
  assert.equal(await has('ana/ranges', blob.digest), 200);
  assert.equal(await has('ana/elsewhere', blob.digest), 404);
});

test('a manifest is refused where it is malformed, too large, mistyped, or names what is not there', async () => {
  const { layer, config, manifest } = smallImage('checked');
  const code = async (bytes: string | Buffer, type?: string, reference = 'v1') =>
    await refusal(await putManifest(ana, 'ana/checked', reference, blobOf(bytes), type));
  assert.equal(await code(manifest.bytes), '404 MANIFEST_BLOB_UNKNOWN');
  await putBlob(ana, 'ana/checked', layer);
  await putBlob(ana, 'ana/checked', config);
  const document = JSON.parse(manifest.bytes.toString()) as Record<string, unknown>;
  const but = (change: Record<string, unknown>) => JSON.stringify({ ...document, ...change });
  assert.equal(await code('{'), '400 MANIFEST_INVALID');
  assert.equal(await code(but({ schemaVersion: 1 })), '400 MANIFEST_INVALID');
  assert.equal(await code(manifest.bytes, mediaTypes.ociIndex), '400 MANIFEST_INVALID');
  assert.equal(await code(but({ mediaType: 'text/html' }), 'text/html'), '400 MANIFEST_INVALID');
  assert.equal(await code(but({ manifests: [] })), '400 MANIFEST_INVALID');
  assert.equal(await code(but({ config: { ...(document.config as object), size: 1 } })), '400 MANIFEST_INVALID');
  assert.equal(await code(Buffer.alloc((4 << 20) + 1, ' ')), '413 SIZE_INVALID');
  assert.equal(await code(manifest.bytes, undefined, blobOf('x').digest), '400 DIGEST_INVALID');
  assert.equal(await code(manifest.bytes, undefined, '-tag'), '400 MANIFEST_INVALID');
  assert.equal(
    await code(smallIndex([smallImage('absent').manifest]).bytes, mediaTypes.ociIndex),
    '404 MANIFEST_BLOB_UNKNOWN',
  );
  assert.equal(await refusal(await ana('GET', '/v2/ana/checked/manifests/v1')), '404 MANIFEST_UNKNOWN');

  assert.equal((await putManifest(ana, 'ana/checked', manifest.digest, manifest)).status, 201);
  const index = smallIndex([manifest]);
  assert.equal((await putManifest(ana, 'ana/checked', 'all', index, mediaTypes.ociIndex)).status, 201);
  assert.equal((await ana('HEAD', '/v2/ana/checked/manifests/all')).headers.get('content-type'), mediaTypes.ociIndex);
});

test('blobs are mounted from where the caller may read, with and without a name, else an upload begins', async () => {
  const { layer } = await pushImage(ana, 'ana/source', 'v1');
  const mount = (query: string) => ana('POST', `/v2/ana/target/blobs/uploads/?${query}`);
  assert.equal((await mount(`mount=${layer.digest}&from=ana/none`)).status, 202);
  assert.equal((await mount(`mount=${blobOf('none').digest}&from=ana/source`)).status, 202);
  assert.equal(await has('ana/target', layer.digest), 404);
  const named = await mount(`mount=${layer.digest}&from=ana/source`);
  assert.equal(`${named.status} ${named.headers.get('location')}`, `201 /v2/ana/target/blobs/${layer.digest}`);
  assert.equal(await has('ana/target', layer.digest), 200);
  const { config } = smallImage('ana/source:v1');
  assert.equal((await mount(`mount=${config.digest}`)).status, 201);
});

test('tags and repositories are listed in order and in pages', async () => {
  const image = await pushImage(ana, 'ana/listed', 'b');
  for (const tag of ['c', 'a', 'A']) await putManifest(ana, 'ana/listed', tag, image.manifest);
  const all = (await (await ana('GET', '/v2/ana/listed/tags/list')).json()) as unknown;
  assert.deepEqual(all, { name: 'ana/listed', tags: ['A', 'a', 'b', 'c'] });
  const pages: string[] = [];
  let next: string | undefined = '/v2/ana/listed/tags/list?n=3';
  while (next !== undefined) {
    const response: Response = await ana('GET', next);
    pages.push(((await response.json()) as { tags: string[] }).tags.join(' '));
    next = /^<([^>]+)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1];
  }
  assert.deepEqual(pages, ['A a b', 'c']);
  const none = (await (await ana('GET', '/v2/ana/listed/tags/list?n=0')).json()) as unknown;
  assert.deepEqual(none, { name: 'ana/listed', tags: [] });
  assert.equal(await refusal(await ana('GET', '/v2/ana/absent/tags/list')), '404 NAME_UNKNOWN');
  const catalog = (await (await ana('GET', '/v2/_catalog?n=1&last=ana/lis')).json()) as unknown;
  assert.deepEqual(catalog, { repositories: ['ana/listed'] });
});

test('a tag is deleted alone, a manifest with its tags, a blob from its repository only', async () => {
  const { layer, manifest } = await pushImage(ana, 'ana/gone', 'v1');
  await putManifest(ana, 'ana/gone', 'v2', manifest);
  await ana('POST', `/v2/ana/kept/blobs/uploads/?mount=${layer.digest}&from=ana/gone`);
  const remove = async (path: string) => (await ana('DELETE', `/v2/ana/gone/${path}`)).status;
  assert.equal(await remove('manifests/v1'), 202);
  assert.equal(await refusal(await ana('GET', '/v2/ana/gone/manifests/v1')), '404 MANIFEST_UNKNOWN');
  assert.equal((await ana('GET', `/v2/ana/gone/manifests/${manifest.digest}`)).status, 200);
  assert.equal(await remove(`manifests/${manifest.digest}`), 202);
  assert.equal(await refusal(await ana('GET', '/v2/ana/gone/manifests/v2')), '404 MANIFEST_UNKNOWN');
  assert.equal(await remove(`manifests/${manifest.digest}`), 404);
  assert.equal(await remove(`blobs/${layer.digest}`), 202);
  assert.equal(await has('ana/gone', layer.digest), 404);
  assert.equal(await has('ana/kept', layer.digest), 200);
  assert.equal(await refusal(await ana('DELETE', `/v2/ana/gone/blobs/${layer.digest}`)), '404 BLOB_UNKNOWN');
});

test('what refers to a manifest is listed, also before that manifest is there', async () => {
  const subject = smallImage('ana/subject:v1').manifest;
  const artifact = smallImage('a signature', {
    artifactType: 'application/vnd.example.signature',
    subject: { mediaType: mediaTypes.ociManifest, digest: subject.digest, size: subject.bytes.length },
    annotations: { by: '<script>' },
  });
  for (const blob of [artifact.layer, artifact.config]) await putBlob(ana, 'ana/subject', blob);
  const pushed = await putManifest(ana, 'ana/subject', artifact.manifest.digest, artifact.manifest);
  assert.equal(pushed.headers.get('oci-subject'), subject.digest);
  const referrers = async (query: string) => {
    const response = await ana('GET', `/v2/ana/subject/referrers/${subject.digest}${query}`);
    assert.equal(response.headers.get('content-type'), mediaTypes.ociIndex);
    const { manifests } = (await response.json()) as { manifests: object[] };
    return { manifests, filtered: response.headers.get('oci-filters-applied') };
  };
  const all = await referrers('');
  assert.deepEqual(all.manifests, [
    {
      mediaType: mediaTypes.ociManifest,
      digest: artifact.manifest.digest,
      size: artifact.manifest.bytes.length,
      artifactType: 'application/vnd.example.signature',
      annotations: { by: '<script>' },
    },
  ]);
  assert.deepEqual(await referrers('?artifactType=other'), { manifests: [], filtered: 'artifactType' });
});

test('names that are none, methods that are not possible and unknown paths have answers of their own', async () => {
  assert.equal(await refusal(await ana('POST', '/v2/ana/UPPER/blobs/uploads/')), '400 NAME_INVALID');
  assert.equal(await refusal(await ana('GET', '/v2/single/manifests/v1')), '400 NAME_INVALID');
  assert.equal(await refusal(await ana('PUT', '/v2/ana/x/tags/list')), '405 UNSUPPORTED');
  assert.equal(await refusal(await ana('GET', '/v2/ana/x/nothing/here')), '404 NAME_UNKNOWN');
  assert.equal((await ana('GET', '/v2/')).headers.get('docker-distribution-api-version'), 'registry/2.0');
});
