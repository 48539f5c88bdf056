import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf, type Platform } from '#oci/index.ts';
import { checkPlatform, choosePlatform } from './platform.ts';

const offer = (...platforms: (Platform | undefined)[]) =>
  platforms.map((platform, i) => ({
    mediaType: 'm',
    digest: digestOf(String(i)),
    size: 1,
    ...(platform === undefined ? {} : { platform }),
  }));
const linux = (architecture: string, variant?: string): Platform => ({
  os: 'linux',
  architecture,
  ...(variant === undefined ? {} : { variant }),
});

test('choosePlatform takes the best variant that still runs', () => {
  const chosen = (wanted: Platform, ...offers: (Platform | undefined)[]) =>
    choosePlatform(offer(...offers), wanted, 'x').platform;
  assert.deepEqual(
    chosen(linux('arm', 'v7'), linux('arm', 'v5'), linux('arm', 'v6'), linux('arm', 'v8')),
    linux('arm', 'v6'),
  );
  assert.deepEqual(chosen(linux('arm64', 'v8'), linux('amd64'), linux('arm64')), linux('arm64'));
  assert.deepEqual(chosen(linux('amd64'), linux('amd64', 'v3'), linux('amd64')), linux('amd64'));
  assert.equal(chosen(linux('amd64'), undefined), undefined);
});

test('choosePlatform says what is offered where nothing fits', () => {
  assert.throws(
    () =>
      choosePlatform(offer(linux('arm64', 'v8'), { os: 'unknown', architecture: 'unknown' }), linux('amd64'), 'ana/x'),
    { kind: 'not-found', message: /no matching manifest for linux\/amd64 .* ana\/x; it offers linux\/arm64\/v8$/ },
  );
});

test('checkPlatform refuses another system, and another platform only where one was asked', () => {
  const rootfs = { type: 'layers', diff_ids: [] } as const;
  assert.throws(() => checkPlatform({ os: 'windows', architecture: 'amd64', rootfs }, undefined, 'x'), {
    kind: 'unsupported',
  });
  checkPlatform({ ...linux('arm64'), rootfs }, undefined, 'x');
  assert.throws(
    () => checkPlatform({ ...linux('arm64'), rootfs }, linux('amd64'), 'x'),
    /wanted linux\/amd64, actual: linux\/arm64/,
  );
});
