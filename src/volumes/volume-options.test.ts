import assert from 'node:assert/strict';
import { test } from 'node:test';
import { volumeSource } from './volume-options.ts';

test('volumeSource reads type, device and o as mount(8) does', () => {
  assert.deepEqual(volumeSource({}), { kind: 'directory' });
  assert.deepEqual(volumeSource({ type: 'none', device: '/srv', o: 'bind' }), { kind: 'bind', device: '/srv' });
  assert.deepEqual(volumeSource({ type: 'tmpfs', device: 'tmpfs', o: 'size=10m,nosuid,uid=1000,ro,rw' }), {
    kind: 'filesystem',
    type: 'tmpfs',
    device: 'tmpfs',
    flags: 2,
    data: 'size=10m,uid=1000',
  });
});

test('volumeSource says what is wrong', () => {
  const wrong: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ size: '10m' }, /invalid option: "size"/],
    [{ type: 'tmpfs' }, /required option: "device"/],
    [{ device: '/dev/sdz9' }, /required option: "type"/],
    [{ device: 'relative', o: 'bind' }, /"relative".*absolute/],
    [{ device: '/srv', o: 'bind,ro' }, /"ro" means nothing for a bind/],
    [{ device: 'x', type: '../ext4' }, /no type of filesystem/],
  ];
  for (const [options, message] of wrong) assert.throws(() => volumeSource(options), { kind: 'invalid', message });
});
