import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroupPlace } from './cgroup-place.ts';
import { exampleSpec } from './cli/spec.ts';

const place = (cgroupsPath: string, systemd = false) =>
  cgroupPlace({ ...exampleSpec, linux: { ...exampleSpec.linux, cgroupsPath } }, 'box', systemd);

test('cgroupPlace: absolute paths are below the root, others below our own cgroup', () => {
  assert.deepEqual(place('/a/b'), { path: '/a/b', below: 'root' });
  assert.deepEqual(place('a/b'), { path: '/a/b', below: 'own' });
  assert.deepEqual(place(''), { path: '/gantry-runtime-box', below: 'own' });
});

test("cgroupPlace: systemd's slices become the directories that systemd makes", () => {
  assert.equal(place('machine-a.slice:libpod:x', true).path, '/machine.slice/machine-a.slice/libpod-x.scope');
  assert.equal(place('', true).path, '/system.slice/gantry-runtime-box.scope');
  assert.equal(place('-.slice::x', true).path, '/x.scope');
  assert.equal(place(':docker:x', true).path, '/system.slice/docker-x.scope');
  for (const wrong of ['/a/b', 'a.slice:x', 'a.slice:p:n:m', 'a--b.slice:p:n', 'a.slice:p:../n', '../x.slice:p:n'])
    assert.throws(() => place(wrong, true), { kind: 'invalid', message: /cgroupsPath/ }, wrong);
});
