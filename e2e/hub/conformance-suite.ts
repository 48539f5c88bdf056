// The rules of the OCI distribution specification 1.1 in its four categories, asked of a serving hub as a client would.
// Each test names the end-n of the specification's table of endpoints, or its section.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { mediaTypes } from '#oci/index.ts';
import { type Ask, type HubUnderTest, refusal } from './hub-under-test.ts';
import { type Blob, blobOf, pushImage, putBlob, putManifest, smallImage, smallIndex } from './small-image.ts';

/** All of them, of the hub that `start` gives. */
export function conformanceSuite(start: (more?: readonly string[]) => Promise<HubUnderTest>): void {
  let hub: HubUnderTest;
  let ana: Ask;
  before(async () => {
    hub = await start();
    ana = hub.bearer('ana');
  });
  after(() => hub[Symbol.asyncDispose]());

  const absent = blobOf('never pushed').digest;
  const header = (response: Response, name: string): string => response.headers.get(name) ?? assert.fail(`no ${name}`);
  const begin = async (repository: string) => header(await ana('POST', `/v2/${repository}/blobs/uploads/`), 'location');
  const descriptorOf = ({ bytes, digest }: Blob, mediaType: string = mediaTypes.ociManifest) => ({
    mediaType,
    digest,
    size: bytes.length,
  });

  describe('pull', () => {
    const name = 'ana/pulled';
    let image: ReturnType<typeof smallImage>;
    before(async () => {
      image = await pushImage(ana, name, 'v1');
    });

    test('end-1: GET /v2/ says that the API is there', async () => {
      assert.equal((await ana('GET', '/v2/')).status, 200);
      assert.equal((await hub.basic()('GET', '/v2/')).status, 401);
    });
    test('end-2: a blob is given whole, with its digest and length, by GET and by HEAD', async () => {
      const path = `/v2/${name}/blobs/${image.layer.digest}`;
      const got = await ana('GET', path);
      assert.equal(got.status, 200);
      assert.equal(header(got, 'docker-content-digest'), image.layer.digest);
      assert.deepEqual(Buffer.from(await got.arrayBuffer()), image.layer.bytes);
      const head = await ana('HEAD', path);
      assert.equal(head.status, 200);
      assert.equal(header(head, 'content-length'), String(image.layer.bytes.length));
      assert.equal(await head.text(), '');
    });
    test('end-2: a blob that is not there is 404 BLOB_UNKNOWN, and for HEAD 404 without a body', async () => {
      assert.equal(await refusal(await ana('GET', `/v2/${name}/blobs/${absent}`)), '404 BLOB_UNKNOWN');
      assert.equal(await refusal(await ana('HEAD', `/v2/${name}/blobs/${absent}`)), '404');
    });
    test('end-2: Range on a blob (RFC 9110)', async () => {
      const path = `/v2/${name}/blobs/${image.layer.digest}`;
      const part = await ana('GET', path, { headers: { range: 'bytes=1-3' } });
      assert.equal(part.status, 206);
      assert.equal(header(part, 'content-range'), `bytes 1-3/${image.layer.bytes.length}`);
      assert.deepEqual(Buffer.from(await part.arrayBuffer()), image.layer.bytes.subarray(1, 4));
      assert.equal((await ana('GET', path, { headers: { range: 'bytes=9999-' } })).status, 416);
    });
    test('end-3: a manifest by tag and by digest, with its own media type, by GET and by HEAD', async () => {
      for (const reference of ['v1', image.manifest.digest]) {
        for (const method of ['GET', 'HEAD']) {
          const response = await ana(method, `/v2/${name}/manifests/${reference}`, {
            headers: { accept: mediaTypes.ociManifest },
          });
          assert.equal(response.status, 200);
          assert.equal(header(response, 'content-type'), mediaTypes.ociManifest);
          assert.equal(header(response, 'docker-content-digest'), image.manifest.digest);
          const bytes = Buffer.from(await response.arrayBuffer());
          assert.deepEqual(bytes, method === 'GET' ? image.manifest.bytes : Buffer.alloc(0));
        }
      }
    });
    test('end-3: a manifest that is not there is 404 MANIFEST_UNKNOWN', async () => {
      for (const reference of ['absent', absent])
        assert.equal(await refusal(await ana('GET', `/v2/${name}/manifests/${reference}`)), '404 MANIFEST_UNKNOWN');
      assert.equal(await refusal(await ana('HEAD', `/v2/${name}/manifests/absent`)), '404');
    });
    test('error codes: a refusal is JSON with codes of the table', async () => {
      const response = await ana('PUT', `/v2/${name}/manifests/sha256:totallywrong`, {
        body: 'blablabla',
        headers: { 'content-type': mediaTypes.ociManifest },
      });
      assert.equal(response.status, 400);
      assert.match(header(response, 'content-type'), /^application\/json/);
      const { errors } = (await response.json()) as { errors: { code: string; message: string }[] };
      assert.match(errors[0]?.code ?? '', /^(DIGEST|MANIFEST)_INVALID$/);
      assert.notEqual(errors[0]?.message ?? '', '');
    });
  });

  describe('push', () => {
    const name = 'ana/pushed';

    test('end-4a, end-6: POST, then PUT with the whole blob', async () => {
      const blob = blobOf('post, then put');
      const begun = await ana('POST', `/v2/${name}/blobs/uploads/`);
      assert.equal(begun.status, 202);
      const done = await ana('PUT', `${header(begun, 'location')}?digest=${blob.digest}`, { body: blob.bytes });
      assert.equal(done.status, 201);
      assert.equal((await ana('GET', header(done, 'location'))).status, 200);
    });
    test('end-4b: one POST with the digest and the whole blob', async () => {
      const blob = blobOf('one post');
      const done = await putBlob(ana, name, blob);
      assert.equal(done.status, 201);
      assert.equal((await ana('HEAD', header(done, 'location'))).status, 200);
    });
    test('end-5, end-6: a stream in one PATCH without a range', async () => {
      const blob = blobOf('streamed');
      const patched = await ana('PATCH', await begin(name), {
        body: blob.bytes,
        headers: { 'content-type': 'application/octet-stream' },
      });
      assert.equal(patched.status, 202);
      const done = await ana('PUT', `${header(patched, 'location')}?digest=${blob.digest}`);
      assert.equal(done.status, 201);
    });
    test('end-5: chunks in order, the last one in the PUT; where it stands is asked by GET (end-13)', async () => {
      const blob = blobOf('first chunk, last chunk');
      const first = await ana('PATCH', await begin(name), {
        body: blob.bytes.subarray(0, 12),
        headers: { 'content-range': '0-11' },
      });
      assert.equal(first.status, 202);
      assert.equal(header(first, 'range'), '0-11');
      const status = await ana('GET', header(first, 'location'));
      assert.equal(`${status.status} ${header(status, 'range')}`, '204 0-11');
      const done = await ana('PUT', `${header(status, 'location')}?digest=${blob.digest}`, {
        body: blob.bytes.subarray(12),
        headers: { 'content-range': `12-${blob.bytes.length - 1}` },
      });
      assert.equal(done.status, 201);
      assert.equal(await (await ana('GET', header(done, 'location'))).text(), blob.bytes.toString());
    });
    test('end-5: a chunk out of order is 416, and the upload goes on from where it stood', async () => {
      const location = await begin(name);
      const early = await ana('PATCH', location, { body: 'late', headers: { 'content-range': '5-8' } });
      assert.equal(early.status, 416);
      assert.equal((await ana('PATCH', location, { body: 'early', headers: { 'content-range': '0-4' } })).status, 202);
      const retried = await ana('PATCH', location, { body: 'early', headers: { 'content-range': '0-4' } });
      assert.equal(retried.status, 416);
      const late = await ana('PATCH', location, { body: 'late', headers: { 'content-range': '5-8' } });
      assert.equal(late.status, 202);
      assert.equal((await ana('PUT', `${location}?digest=${blobOf('earlylate').digest}`)).status, 201);
    });
    test('end-6: bytes of another digest are 400 DIGEST_INVALID and nothing is there', async () => {
      const done = await ana('PUT', `${await begin(name)}?digest=${absent}`, { body: 'something else' });
      assert.equal(await refusal(done), '400 DIGEST_INVALID');
      assert.equal((await ana('HEAD', `/v2/${name}/blobs/${absent}`)).status, 404);
    });
    test('end-14: an upload is given up by DELETE', async () => {
      const location = await begin(name);
      assert.equal((await ana('DELETE', location)).status, 204);
      assert.equal(await refusal(await ana('GET', location)), '404 BLOB_UPLOAD_UNKNOWN');
    });
    test('end-11: a blob is mounted from another repository; where that is not possible an upload begins', async () => {
      const blob = blobOf('mounted');
      await putBlob(ana, name, blob);
      const mounted = await ana('POST', `/v2/ana/other/blobs/uploads/?mount=${blob.digest}&from=${name}`);
      assert.equal(mounted.status, 201);
      assert.match(header(mounted, 'location'), /\/v2\/ana\/other\/blobs\//);
      assert.equal((await ana('GET', header(mounted, 'location'))).status, 200);
      const automatic = await ana('POST', `/v2/ana/third/blobs/uploads/?mount=${blob.digest}`);
      assert.equal(automatic.status, 201);
      const not = await ana('POST', `/v2/ana/other/blobs/uploads/?mount=${absent}&from=${name}`);
      assert.equal(not.status, 202);
      assert.equal((await ana('DELETE', header(not, 'location'))).status, 204);
    });
    test('end-7: a manifest by tag or digest; where it is, is said', async () => {
      const { layer, config, manifest } = smallImage('manifest');
      for (const blob of [layer, config]) await putBlob(ana, name, blob);
      for (const reference of ['test0', 'test1', manifest.digest]) {
        const put = await putManifest(ana, name, reference, manifest);
        assert.equal(put.status, 201);
        assert.equal(header(put, 'docker-content-digest'), manifest.digest);
        assert.equal((await ana('GET', header(put, 'location'))).status, 200);
      }
    });
    test('end-7: a manifest without layers, and one whose parts have media types never seen before', async () => {
      const { config, layer, manifest } = smallImage('unheard of');
      for (const blob of [config, layer]) await putBlob(ana, name, blob);
      const document = JSON.parse(manifest.bytes.toString()) as { config: object; layers: object[] };
      const empty = blobOf(JSON.stringify({ ...document, layers: [] }));
      assert.equal((await putManifest(ana, name, 'empty', empty)).status, 201);
      const strange = { mediaType: 'application/vnd.example.never+thing' };
      const odd = blobOf(
        JSON.stringify({
          ...document,
          config: { ...document.config, ...strange },
          layers: [{ ...document.layers[0], ...strange }],
        }),
      );
      assert.equal((await putManifest(ana, name, 'odd', odd)).status, 201);
      const type = 'application/vnd.example.manifest.v9+json';
      const alien = blobOf(JSON.stringify({ schemaVersion: 2, mediaType: type, blobs: [document.layers[0]] }));
      assert.equal((await putManifest(ana, name, 'alien', alien, type)).status, 201);
      assert.equal(header(await ana('GET', `/v2/${name}/manifests/alien`), 'content-type'), type);
    });
    test('end-7: a manifest of something that is not there is MANIFEST_BLOB_UNKNOWN', async () => {
      const put = await putManifest(ana, name, 'lacking', smallImage('never pushed either').manifest);
      assert.equal(await refusal(put), '404 MANIFEST_BLOB_UNKNOWN');
    });
    test('end-7: 4 MiB of manifest are taken, more is 413', async () => {
      const { config, layer, manifest } = smallImage('large');
      for (const blob of [config, layer]) await putBlob(ana, name, blob);
      const text = manifest.bytes.toString().trimEnd();
      const filled = (size: number) => blobOf(`${text}${' '.repeat(size - text.length)}`);
      assert.equal((await putManifest(ana, name, 'largest', filled(4 << 20))).status, 201);
      assert.equal(await refusal(await putManifest(ana, name, 'larger', filled((4 << 20) + 1))), '413 SIZE_INVALID');
    });
    test('sha512: blobs and manifests by it', async () => {
      const { config, layer, manifest } = smallImage('by sha512');
      for (const blob of [config, layer]) await putBlob(ana, name, blob);
      const long = blobOf(layer.bytes, 'sha512');
      assert.equal((await putBlob(ana, name, long)).status, 201);
      assert.equal((await ana('GET', `/v2/${name}/blobs/${long.digest}`)).status, 200);
      const { digest } = blobOf(manifest.bytes, 'sha512');
      assert.equal((await putManifest(ana, name, digest, manifest)).status, 201);
      assert.equal(header(await ana('GET', `/v2/${name}/manifests/${digest}`), 'docker-content-digest'), digest);
    });
    test('subject: OCI-Subject says that referrers are kept, also of a subject that is not there', async () => {
      const { config, layer, manifest } = smallImage('refers', {
        subject: descriptorOf(smallImage('nobody').manifest),
      });
      for (const blob of [config, layer]) await putBlob(ana, name, blob);
      const put = await putManifest(ana, name, manifest.digest, manifest);
      assert.equal(header(put, 'oci-subject'), smallImage('nobody').manifest.digest);
    });
    test('an index before its children is refused, and with --sparse-indexes it is taken', async () => {
      const child = smallImage('child comes later');
      const index = smallIndex([child.manifest]);
      const refused = await putManifest(ana, name, 'sparse', index, mediaTypes.ociIndex);
      assert.equal(await refusal(refused), '404 MANIFEST_BLOB_UNKNOWN');
      await using lenient = await start(['--sparse-indexes']);
      const put = await putManifest(lenient.basic('ana'), name, 'sparse', index, mediaTypes.ociIndex);
      assert.equal(put.status, 201);
    });
  });

  describe('content discovery', () => {
    const name = 'ana/found';
    const subject = smallImage('a subject').manifest;
    const artifact = (kind: string, more: Readonly<Record<string, unknown>> = {}) =>
      smallImage(`of ${kind}`, {
        artifactType: `application/vnd.example.${kind}`,
        subject: descriptorOf(subject),
        annotations: { kind },
        ...more,
      });
    before(async () => {
      for (const tag of ['test0', 'test1', 'test2', 'test3']) await pushImage(ana, name, tag);
      for (const kind of ['a', 'b']) await pushImage(ana, name, artifact(kind).manifest.digest, artifact(kind));
      const index = blobOf(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: mediaTypes.ociIndex,
          manifests: [],
          artifactType: 'application/vnd.example.index',
          subject: descriptorOf(subject),
        }),
      );
      assert.equal((await putManifest(ana, name, index.digest, index, mediaTypes.ociIndex)).status, 201);
    });
    const tagsOf = async (query: string) => {
      const response = await ana('GET', `/v2/${name}/tags/list${query}`);
      assert.equal(response.status, 200);
      return { response, ...((await response.json()) as { name: string; tags: string[] }) };
    };

    test('end-8a: all tags, in lexical order', async () => {
      const { name: said, tags } = await tagsOf('');
      assert.equal(said, name);
      assert.deepEqual(tags, ['test0', 'test1', 'test2', 'test3']);
    });
    test('end-8b: n limits, last begins after, Link leads to the rest', async () => {
      const first = await tagsOf('?n=2');
      assert.deepEqual(first.tags, ['test0', 'test1']);
      const next = /^<([^>]+)>; rel="next"$/.exec(header(first.response, 'link'))?.[1] ?? assert.fail();
      const second = await tagsOf(new URL(next, hub.url).search);
      assert.deepEqual(second.tags, ['test2', 'test3']);
      assert.equal(second.response.headers.get('link'), null);
      assert.deepEqual((await tagsOf('?n=2&last=test1')).tags, ['test2', 'test3']);
      assert.deepEqual((await tagsOf('?last=test2')).tags, ['test3']);
      assert.deepEqual((await tagsOf('?n=0')).tags, []);
    });
    test('end-12a: referrers as an index, each with artifactType and annotations', async () => {
      const response = await ana('GET', `/v2/${name}/referrers/${subject.digest}`);
      assert.equal(response.status, 200);
      assert.equal(header(response, 'content-type'), mediaTypes.ociIndex);
      const { manifests } = (await response.json()) as {
        manifests: { artifactType: string; annotations?: { kind: string } }[];
      };
      const seen = manifests.map(({ artifactType, annotations }) =>
        `${artifactType} ${annotations?.kind ?? ''}`.trim(),
      );
      assert.deepEqual(seen.sort(), [
        'application/vnd.example.a a',
        'application/vnd.example.b b',
        'application/vnd.example.index',
      ]);
    });
    test('end-12b: filtered by artifactType, and said so', async () => {
      const path = `/v2/${name}/referrers/${subject.digest}?artifactType=application/vnd.example.b`;
      const response = await ana('GET', path);
      assert.equal(header(response, 'oci-filters-applied'), 'artifactType');
      assert.equal(((await response.json()) as { manifests: object[] }).manifests.length, 1);
    });
    test('end-12a: nothing refers to it: an empty index, not 404', async () => {
      const response = await ana('GET', `/v2/${name}/referrers/${absent}`);
      assert.equal(response.status, 200);
      assert.deepEqual(((await response.json()) as { manifests: object[] }).manifests, []);
      assert.equal((await ana('GET', `/v2/${name}/referrers/sha256:none`)).status, 400);
    });
    test('referrers tag schema: what a client without the API keeps under the digest as a tag is pulled like any tag', async () => {
      const fallback = subject.digest.replace(':', '-');
      const index = smallIndex([artifact('a').manifest]);
      assert.equal((await putManifest(ana, name, fallback, index, mediaTypes.ociIndex)).status, 201);
      assert.equal((await ana('GET', `/v2/${name}/manifests/${fallback}`)).status, 200);
      assert.equal((await ana('DELETE', `/v2/${name}/manifests/${fallback}`)).status, 202);
    });
  });

  describe('content management', () => {
    const name = 'ana/managed';
    let image: ReturnType<typeof smallImage>;
    before(async () => {
      image = await pushImage(ana, name, 'one');
      await putManifest(ana, name, 'two', image.manifest);
    });

    test('end-9: a tag is deleted, the manifest stays', async () => {
      assert.equal((await ana('DELETE', `/v2/${name}/manifests/one`)).status, 202);
      assert.equal(await refusal(await ana('GET', `/v2/${name}/manifests/one`)), '404 MANIFEST_UNKNOWN');
      assert.equal((await ana('GET', `/v2/${name}/manifests/${image.manifest.digest}`)).status, 200);
    });
    test('end-9: a manifest is deleted by digest with its tags; again it is 404', async () => {
      const path = `/v2/${name}/manifests/${image.manifest.digest}`;
      assert.equal((await ana('DELETE', path)).status, 202);
      assert.equal((await ana('GET', path)).status, 404);
      const tags = (await (await ana('GET', `/v2/${name}/tags/list`)).json()) as { tags: string[] };
      assert.deepEqual(tags.tags, []);
      assert.equal(await refusal(await ana('DELETE', path)), '404 MANIFEST_UNKNOWN');
    });
    test('end-10: a blob is deleted; again it is 404', async () => {
      const path = `/v2/${name}/blobs/${image.layer.digest}`;
      assert.equal((await ana('DELETE', path)).status, 202);
      assert.equal((await ana('GET', path)).status, 404);
      assert.equal(await refusal(await ana('DELETE', path)), '404 BLOB_UNKNOWN');
    });
    test('a deleted referrer is not listed any more', async () => {
      const refers = smallImage('goes', { subject: descriptorOf(smallImage('stays').manifest) });
      await pushImage(ana, name, refers.manifest.digest, refers);
      const count = async () => {
        const response = await ana('GET', `/v2/${name}/referrers/${smallImage('stays').manifest.digest}`);
        return ((await response.json()) as { manifests: object[] }).manifests.length;
      };
      assert.equal(await count(), 1);
      assert.equal((await ana('DELETE', `/v2/${name}/manifests/${refers.manifest.digest}`)).status, 202);
      assert.equal(await count(), 0);
    });
  });
}
