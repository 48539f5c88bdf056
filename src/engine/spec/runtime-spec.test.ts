import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerOptions } from '../engine.ts';
import { resolveUser } from './resolve-user.ts';
import { composeSpec } from './runtime-spec.ts';

const passwd = 'root:x:0:0:root:/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\n';
const group = 'root:x:0:\nana:x:1000:\naudio:x:29:ana\n';
const compose = (options: Partial<ContainerOptions>, config: object = {}) =>
  composeSpec({
    id: 'a'.repeat(64),
    options: { image: 'x', ...options },
    image: { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] }, config },
    user: { passwd, group },
    mounts: [],
    files: undefined,
    cgroupsPath: '/gantry/x',
  });

test('composeSpec takes the command from image and user as Docker does', () => {
  const image = { Entrypoint: ['/entry'], Cmd: ['a', 'b'] };
  assert.deepEqual(compose({}, image).spec.process?.args, ['/entry', 'a', 'b']);
  assert.deepEqual(compose({ command: ['c'] }, image).spec.process?.args, ['/entry', 'c']);
  assert.deepEqual(compose({ entrypoint: ['sh'] }, image).spec.process?.args, ['sh']);
  assert.deepEqual(compose({ entrypoint: [], command: ['ls'] }, image).spec.process?.args, ['ls']);
  assert.throws(() => compose({}), { code: 'no-command' });
});

test('composeSpec merges the environment and remembers each source', () => {
  const { spec, provenance } = compose(
    { command: ['x'], env: ['B=user', 'C'] },
    { Env: ['A=image', 'B=image', 'C=image'] },
  );
  assert.ok(spec.process?.env?.includes('A=image'));
  assert.ok(spec.process?.env?.includes('B=user'));
  assert.ok(!spec.process?.env?.some((e) => e.startsWith('C=')));
  assert.equal(provenance['process.env[A]'], 'image');
  assert.equal(provenance['process.env[B]'], 'user');
  assert.equal(provenance['process.env[PATH]'], 'default');
});

test('composeSpec gives 14 capabilities, and an ordinary user none in effect', () => {
  assert.equal(compose({ command: ['x'] }).spec.process?.capabilities?.effective?.length, 14);
  const user = compose({ command: ['x'], user: 'ana' }).spec.process;
  assert.deepEqual(user?.capabilities?.effective, []);
  assert.deepEqual(user?.user, { uid: 1000, gid: 1000, additionalGids: [1000, 29] });
  assert.deepEqual(
    compose({ command: ['x'], capDrop: ['ALL'], capAdd: ['NET_ADMIN'] }).spec.process?.capabilities?.bounding,
    ['CAP_NET_ADMIN'],
  );
  assert.throws(() => compose({ command: ['x'], capAdd: ['FLY'] }), /unknown capability: "FLY"/);
});

test('composeSpec refuses a security option that is not built', () => {
  assert.throws(() => compose({ command: ['x'], securityOptions: ['apparmor=x'] }), { kind: 'unsupported' });
});

test('resolveUser reads the image, not the host', () => {
  assert.deepEqual(resolveUser('', passwd, group), { uid: 0, gid: 0, additionalGids: [0], home: '/root' });
  assert.deepEqual(resolveUser('7:8', passwd, group), { uid: 7, gid: 8, additionalGids: [8], home: '/' });
  assert.deepEqual(resolveUser('ana:audio', passwd, group), {
    uid: 1000,
    gid: 29,
    additionalGids: [29],
    home: '/home/ana',
  });
  assert.throws(() => resolveUser('eve', passwd, group), /unable to find user eve/);
  assert.throws(() => resolveUser('4294967295', passwd, group), /in range/);
});
